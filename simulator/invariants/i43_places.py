"""I43: a backup lies where it was asked for, or where its strategy says, or with its log."""

from __future__ import annotations

import json
import math
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from chalicelib.domain.containers import DEFAULT
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Asked, Exchange
from simulator.invariants.rows import parents_of
from simulator.template import PREFIX

REQUEST_SECONDS: Final = 60.0
"""Who stores a backup, a request or a sweep, has read where it goes at most so long ago."""
_PATH: Final = "/backup_strategies"
Owner = tuple[str, str]
"""A project, and an instance of it or "" for all of them."""


class Places(Invariant):
    """Compares the container of each new backup with what its request, its parent, or the replies
    about strategies say.

    A strategy about which two requests overlap, or one had no clear answer, is unknown until one
    is answered alone. A restored table (F23) has forgotten what came behind its copy.
    """

    id = "I43"
    title = "A backup lies where it was asked for, or where its strategy says, or with its log"

    def watch(self) -> None:
        self._chosen: dict[Owner, str | None] = {}
        self._unsure: dict[Owner, float] = {}
        """Until when nobody knows which one counts: for ever, or for a while after a change."""
        self._answered: dict[Owner, float] = {}
        """When the last request was answered that nobody else's has crossed."""
        self._unclear: dict[Owner, float] = {}
        """When a request had no clear answer last: what it does may come behind the next one."""
        self._busy: dict[Owner, int] = {}
        self._crossed: set[Owner] = set()
        """Those about which two requests have been under way at once, and one still is."""
        self.hub.on_ask(self._asked)
        self.hub.on_reply(self._replied)
        self.hub.on_write("backups", self._written)

    def _asked(self, asked: Asked) -> None:
        owner = _owner(asked.method, asked.path, asked.body)
        if owner is not None:
            if self._busy.get(owner):
                self._crossed.add(owner)
            self._busy[owner] = self._busy.get(owner, 0) + 1
            self._unsure[owner] = math.inf

    def _replied(self, exchange: Exchange) -> None:
        if exchange.method == "GET" and exchange.path.endswith(_PATH) and exchange.tenant:
            self._listed(exchange.tenant, exchange)
        owner = _owner(exchange.method, exchange.path, exchange.body)
        if owner is None:
            return
        alone = owner not in self._crossed
        self._busy[owner] -= 1
        if not self._busy[owner]:
            self._crossed.discard(owner)
        now = self.hub.run.kernel.now
        if exchange.reply.status >= 500:
            self._unclear[owner] = now
        clear = exchange.begun > self._unclear.get(owner, -math.inf) + REQUEST_SECONDS
        if alone and clear and exchange.reply.status == 202 and not exchange.replayed:
            self._chosen[owner] = _strategy(exchange.body).get("swift_container")
            self._unsure[owner] = now + self.hub.lag + REQUEST_SECONDS
            self._answered[owner] = now

    def _listed(self, project: str, exchange: Exchange) -> None:
        """A list of strategies has each that is known to be there, and none that is not."""
        if exchange.reply.status != 200 or exchange.admin:
            return
        told = {
            (each["project_id"], each["instance_id"]): each["swift_container"]
            for each in exchange.reply.document["backup_strategies"]
        }
        for owner, chosen in self._chosen.items():
            alone = self._unsure[owner] < math.inf and not self.hub.restored_at
            known = alone and self._answered[owner] + self.hub.lag <= exchange.begun
            if owner[0] == project and known and self._is_there(owner[1]):
                self.exercised += 1
                if told.get(owner) != chosen:
                    text = f"the strategy of {owner[1] or project} is {chosen}, and {told} are told"
                    self.broken(text, owner[1] or None)

    def _is_there(self, instance_id: str) -> bool:
        """Whether an instance may have a strategy still; "" is a project, which does not go."""
        row = self.hub.row("instances", instance_id)
        return not instance_id or (row is not None and "index_tenant" in row)

    def _written(self, old: Item | None, new: Item | None) -> None:
        elsewhere = new is not None and ("imported" in new or "volume_id" in new)
        if old is not None or new is None or elsewhere or self.hub.restoring:
            return
        lies, parents = new.get("container_url"), parents_of(new)
        schedule = self.hub.row("backup-schedules", new.get("schedule_id", "")) or {}
        if schedule.get("point_in_time") and schedule.get("enabled"):
            self._compare(new, lies, None)  # or no log could go on from it
            return
        if parents:
            parent = self.hub.row("backups", parents[-1])
            self._compare(new, lies, parent.get("container_url") if parent is not None else lies)
            return
        name = unquote(lies.rpartition("/")[2]) if lies is not None else None
        wanted = self._asked_for()
        if "swift_container" in wanted or "storage_driver" in wanted:
            in_swift = "swift_container" in wanted or wanted["storage_driver"] == "swift"
            expected = wanted.get("swift_container", DEFAULT) if in_swift else None
            self._compare(new, name, expected)
            return
        owners = (new["tenant_id"], new["instance_id"]), (new["tenant_id"], "")
        if all(self._is_known(each) for each in owners):
            chosen = (self._chosen.get(each) for each in owners)
            self._compare(new, name, next((each for each in chosen if each is not None), None))

    def _is_known(self, owner: Owner) -> bool:
        began = self._unsure.get(owner, 0.0)
        return began <= self.hub.run.kernel.now and not self.hub.restored_at

    def _compare(self, row: Item, lies: str | None, expected: str | None) -> None:
        self.exercised += 1
        if lies != expected:
            text = f"{row['id']} goes to {lies or 'the bucket'}, not to {expected or 'the bucket'}"
            self.broken(text, row["instance_id"])

    def _asked_for(self) -> dict[str, Any]:
        """What the request says of its backup that is served at this moment."""
        invocation = self.hub.invocation(f"{PREFIX}-api")
        body = invocation.event.get("body") if invocation is not None else None
        asked = json.loads(body).get("backup", {}) if body else {}
        return {name: value for name, value in asked.items() if value is not None}


def _owner(method: str, path: str, body: bytes) -> Owner | None:
    """Whose strategy a request is to change."""
    place, _, query = path.partition("?")
    if method not in ("POST", "DELETE") or not place.endswith(_PATH):
        return None
    project = place.split("/")[2]
    if method == "DELETE":
        return project, parse_qs(query).get("instance_id", [""])[0]
    return project, _strategy(body).get("instance_id") or ""


def _strategy(body: bytes) -> dict[str, Any]:
    """What a request says of a strategy: nothing when it takes one away."""
    asked: dict[str, Any] = json.loads(body).get("backup_strategy", {}) if body else {}
    return asked
