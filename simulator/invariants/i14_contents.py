"""I14: what was acknowledged of databases, users and root is there, and nothing else is."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from chalicelib import engines
from chalicelib.domain.archives import moment
from chalicelib.engines.engine import Part
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from simulator.fleet.datastore import Contents, User
from simulator.fleet.managers import grants_outlive
from simulator.invariants.acknowledged import THERE, UNKNOWN, State, Thing, changes_of
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Asked, Exchange

REFUSED: Final = frozenset({404, 409, 413, 422, 501})
"""Answers after which nothing was done. A 400 may also be a guest that died at work."""
STILL_SECONDS: Final = 300.0
"""What had no clear answer may take effect so long after its command's expiry: the guest's clock
may be off by minutes."""
_LIST: Final = re.compile(r"/v1\.0/[^/]+/instances/([^/?]+)/(databases|users)")


class Acknowledged(Invariant):
    """Follows each thing from reply to reply. Where two requests overlap, or one has no clear
    answer, it knows nothing of the thing until one is made or removed alone and for certain.
    """

    id = "I14"
    title = "What was acknowledged of databases, users and root is there, and nothing else"

    def watch(self) -> None:
        self._states: dict[Thing, State] = {}
        """Of what is not here nothing was ever asked: it is not there."""
        self._busy: dict[Thing, int] = {}
        self._changed: dict[Thing, float] = {}
        """When the last request about a thing was answered, or may take effect at the latest."""
        self._made = {row["id"]: None for row in self.hub.rows("instances")}
        """Instances of which it is known what they began with: not those whose reply was lost."""
        self.hub.on_ask(self._asked)
        self.hub.on_reply(self._replied)

    # ------------------------------------------------------------------- what is followed

    def _asked(self, asked: Asked) -> None:
        for thing in changes_of(asked.method, asked.path, asked.body):
            self._busy[thing] = self._busy.get(thing, 0) + 1

    def _replied(self, exchange: Exchange) -> None:
        reply = exchange.reply
        accepted = reply.status < 300
        answer = reply.document if accepted else None
        changes = changes_of(exchange.method, exchange.path, exchange.body, answer)
        for thing, change in changes.items():
            self._busy[thing] -= 1
            alone = not self._busy[thing] and exchange.begun >= self._changed.get(thing, 0.0)
            before = self._states.get(thing) if alone else UNKNOWN
            if exchange.replayed:
                continue
            if accepted:
                self._states[thing] = change(before) if alone else UNKNOWN
            elif reply.status not in REFUSED or not alone:
                self._states[thing] = UNKNOWN
            self._touched(thing, exchange)
            if thing.kind == "databases" and exchange.method == "DELETE":
                self._dropped(thing, exchange)
            elif self._may_have_gone(thing):
                self._states[thing] = UNKNOWN
        if not accepted or exchange.replayed:
            return
        if exchange.method == "POST" and exchange.path.endswith("/instances"):
            self._begun_with(json.loads(exchange.body or b"{}"), answer)
        elif exchange.method == "GET" and (found := _LIST.fullmatch(exchange.path)):
            self._listed(exchange, found[1], found[2], answer)

    def _touched(self, thing: Thing, exchange: Exchange) -> None:
        """From now on, or when it may take effect at the latest, it is as it is known to be."""
        late = 0.0
        if not _is_clear(exchange):
            late = settings().guest_call_seconds + STILL_SECONDS
        until = self.hub.run.kernel.now + late
        self._changed[thing] = max(self._changed.get(thing, 0.0), until)

    def _dropped(self, database: Thing, exchange: Exchange) -> None:
        """Where grants go with their database they go with it, if it has gone, for all users whom
        nothing else was done to meanwhile."""
        if exchange.reply.status in REFUSED or self._grants_outlive(database.instance_id):
            return
        for user in [*self._states, *(each for each, count in self._busy.items() if count)]:
            if user[:2] != (database.instance_id, "users"):
                continue
            state = self._states.get(user)
            still = not self._busy.get(user) and exchange.begun >= self._changed.get(user, 0.0)
            if isinstance(state, User) and still and _is_clear(exchange):
                self._states[user] = User(state.password, state.grants - {database.name})
            elif state is not None or not still:
                self._states[user] = UNKNOWN
                self._touched(user, exchange)

    def _may_have_gone(self, thing: Thing) -> bool:
        """Whether a database that a user was let into was being dropped at the time."""
        state = self._states.get(thing)
        if not isinstance(state, User) or self._grants_outlive(thing.instance_id):
            return False
        databases = [Thing(thing.instance_id, "databases", name) for name in state.grants]
        now = self.hub.run.kernel.now
        return any(
            self._busy.get(each) or self._changed.get(each, 0.0) >= now for each in databases
        )

    def _grants_outlive(self, instance_id: str) -> bool:
        row = self.hub.row("instances", instance_id)
        return row is None or grants_outlive(row["manager"])

    def _begun_with(self, body: Any, answer: Any) -> None:
        """What an instance is created with, it has when it is ACTIVE: what a backup held, and what
        its body names."""
        instance_id, wanted = answer["instance"]["id"], body.get("instance", {})
        if "restorePoint" in wanted:
            point = self._point(wanted["restorePoint"])
            if point is None:
                return  # begun before anybody looked
            manager = answer["instance"]["datastore"]["type"]
            self._states |= _things(instance_id, manager, point)
        self._made[instance_id] = None
        for each in wanted.get("databases") or ():
            self._states[Thing(instance_id, "databases", each["name"])] = THERE
        for each in wanted.get("users") or ():
            grants = frozenset(database["name"] for database in each.get("databases") or ())
            self._states[Thing(instance_id, "users", each["name"])] = User(each["password"], grants)

    def _point(self, asked: Any) -> Contents | None:
        """What a backup held, or an instance at a moment."""
        backup_id = asked.get("backupRef", "").rpartition("/")[2]
        if "time" not in asked:
            return self.hub.points.get(backup_id)
        backup = self.hub.row("backups", backup_id) if backup_id else None
        source = backup["instance_id"] if backup else asked.get("instance", "").rpartition("/")[2]
        return self.hub.at(source, moment(asked["time"]))

    # ------------------------------------------------------------------------- what is seen

    def _listed(self, exchange: Exchange, instance_id: str, kind: str, answer: Any) -> None:
        if answer.get("links") or instance_id not in self._made:
            return
        shown = {each["name"] for each in answer[kind]}
        for name in dict.fromkeys((*sorted(shown), *self._known(instance_id, kind))):
            thing = Thing(instance_id, kind, name)
            if self._busy.get(thing) or self._changed.get(thing, 0.0) > exchange.begun:
                continue
            state = self._states.get(thing)
            if state == UNKNOWN:
                continue
            self.exercised += 1
            if (name in shown) != (state is not None):
                text = f"{name!r} was shown" if name in shown else f"{name!r} was not shown"
                self.broken(f"{text} among the {kind}, against what was answered", instance_id)

    def check_healed(self) -> None:
        """Look into each reachable database."""
        for row in self.hub.rows("instances"):
            if row["status"] != Status.ACTIVE or row["id"] not in self._made:
                continue
            server_id = json.loads(row.get("resources") or "{}").get("server_id")
            guest = self.hub.run.fleet.guests.get(server_id)
            volume = guest.volume if guest is not None else None
            if volume is not None and volume.formatted:
                self._compare(row["id"], row["manager"], volume.contents)

    def _compare(self, instance_id: str, manager: str, contents: Contents) -> None:
        there = _things(instance_id, manager, contents)
        known = [each for each in self._states if each.instance_id == instance_id]
        now = self.hub.run.kernel.now
        for thing in dict.fromkeys((*there, *known)):
            wanted = self._states.get(thing)
            if wanted == UNKNOWN or self._busy.get(thing) or self._changed.get(thing, 0.0) > now:
                continue
            self.exercised += 1
            if there.get(thing) != wanted:
                text = f"{thing.kind} {thing.name!r}: {_told(there.get(thing), wanted)}"
                self.broken(text, instance_id)

    def _known(self, instance_id: str, kind: str) -> list[str]:
        return [
            each.name
            for each in self._states
            if each.instance_id == instance_id and each.kind == kind
        ]


def _things(instance_id: str, manager: str, contents: Contents) -> dict[Thing, State]:
    """All that a database holds, as it is followed here."""
    there: dict[Thing, State] = {}
    for name in contents.databases if engines.can(manager, Part.DATABASES) else ():
        there[Thing(instance_id, "databases", name)] = THERE
    for (name, _), user in contents.users.items():
        there[Thing(instance_id, "users", name)] = user
    if contents.root_password is not None:
        there[Thing(instance_id, "root", "root")] = User(contents.root_password)
    return there


def _is_clear(exchange: Exchange) -> bool:
    """Whether its answer says what became of it."""
    return exchange.reply.status < 300 or exchange.reply.status in REFUSED


def _told(there: State, wanted: State) -> str:
    if there is None or wanted is None:
        return "it is missing" if there is None else "it is there, though removed or never made"
    if isinstance(there, User) and isinstance(wanted, User):
        if there.password != wanted.password:
            return "it has another password than the one that was accepted last"
        return f"it may use {sorted(there.grants)}, accepted was {sorted(wanted.grants)}"
    return "it is another one"
