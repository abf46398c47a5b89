"""I30: what an engine has not, or a guest does not know, as it has told, is refused before
anything; the rest is not."""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from chalicelib import engines
from chalicelib.bus.contract import FIRST_RELEASE, METHODS, RELEASE
from chalicelib.domain.flows import FLOWS
from chalicelib.engines.engine import Part
from simulator.aws.dynamodb.values import Item
from simulator.fleet.guest import Guest
from simulator.fleet.older import told
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange
from simulator.invariants.rows import changed

LATE_SECONDS: Final = 120.0
"""A request may have read what was told so long ago: a stale read (F9), and its own time."""
NOT_SUPPORTED: Final = 501
REFUSALS: Final = 300
"""From here on nothing was accepted."""
_INSTANCE: Final = re.compile(r"/v1\.0/[^/]+/(?:mgmt/)?instances/([^/?]+)")
_PART: Final = re.compile(
    r"/v1\.0/[^/]+/instances/([^/?]+)/(?:(databases)|(users)|(root))(/[^/?]+/databases)?"
)
"""The requests that are for a part of the guest contract: the instance, and what names the part."""


class Told(NamedTuple):
    """What an instance's row tells of its guest's release; a generation not heard tells none."""

    generation: int
    release: int | None


def _told_by(row: Item | None) -> Told | None:
    if row is None:
        return None
    release = int(row.get("agent_release", 0)) or FIRST_RELEASE
    return Told(int(row["generation"]), release if row.get("epoch") else None)


def _part_of(exchange: Exchange) -> tuple[str, Part] | None:
    """The instance that a request is about and the part that it is for, beside the server."""
    if exchange.method == "POST" and exchange.path.endswith("/instances"):
        if exchange.reply.status >= REFUSALS:
            return None
        wanted = json.loads(exchange.body or b"{}").get("instance", {})
        part = Part.USERS if wanted.get("databases") or wanted.get("users") else Part.SERVER
        return exchange.reply.document["instance"]["id"], part
    if exchange.method == "POST" and exchange.path.endswith("/backups"):
        asked = json.loads(exchange.body or b"{}").get("backup", {}).get("instance")
        return (asked.rpartition("/")[2], Part.BACKUPS) if asked else None
    found = _PART.match(exchange.path)
    if found is None:
        return None
    instance_id, databases, users, _, access = found.groups()
    if users:
        return instance_id, Part.ACCESS if access else Part.USERS
    return instance_id, Part.DATABASES if databases else Part.ROOT


class Ability(Invariant):
    """Follows what rows tell of guests' releases, beside what is on their disks.

    Looks at each report that is stored, each operation that is accepted, each command and each
    reply. A guest that has told nothing in its generation is asked, and answers for itself; an
    engine is what the row says, so nothing is ever sent that it has not.
    """

    id = "I30"
    title = "What an engine or a guest's release has not is refused at once, and the rest is not"

    def watch(self) -> None:
        self._told: dict[str, tuple[Told | None, float]] = {}
        """What each row tells, and since when."""
        for row in self.hub.rows("service-statuses"):
            self._told[row["instance_id"]] = _told_by(row), self.hub.run.kernel.now
        self.hub.on_write("service-statuses", self._status)
        self.hub.on_write("operations", self._operation)
        self.hub.on_write("commands", self._command)
        self.hub.on_reply(self._replied)

    def _status(self, old: Item | None, new: Item | None) -> None:
        if new is None:
            return
        instance_id = str(new["instance_id"])
        if self.hub.heartbeats() and not changed(old, new, "stale_reports"):  # of a former guest
            self._stored(instance_id, new)
        tells, (before, _) = _told_by(new), self._told.get(instance_id, (None, 0.0))
        if not tells == before == _told_by(old):  # F19 lets a row forget it in silence
            self._told[instance_id] = tells, self.hub.run.kernel.now

    def _stored(self, instance_id: str, new: Item) -> None:
        """A report says what the guest of its generation has on its disk."""
        guest = self._guest(instance_id, int(new["generation"]))
        if guest is None or not new.get("epoch"):  # one of a former generation was counted
            return
        self.exercised += 1
        said = int(new.get("agent_release", 0))
        if said != told(guest.disk.release):
            text = f"its guest is of release {guest.disk.release}, its report is stored with {said}"
            self.broken(text, instance_id)

    def _guest(self, instance_id: str, generation: int) -> Guest | None:
        """The one server there is whose disk has enrolled in that generation: one with a new disk
        (F27) has sent nothing yet."""
        found = [
            guest
            for guest in self.hub.run.fleet.of_instance(instance_id)
            if guest.disk.enrolled_generation == generation
        ]
        return found[0] if len(found) == 1 else None

    def _known(self, instance_id: str, before: float) -> int | None:
        """The release that a row has told since long before that time, and tells now."""
        tells, since = self._told.get(instance_id, (None, 0.0))
        if tells is None or since > before - LATE_SECONDS:
            return None
        now = _told_by(self.hub.row("service-statuses", instance_id))
        return tells.release if now == tells else None

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if old is not None or new is None or self.hub.restoring:
            return
        newer = [each for each in FLOWS[new["action"]].asks if METHODS[each].since > FIRST_RELEASE]
        known = self._known(new["instance_id"], self.hub.run.kernel.now) if newer else None
        if known is None:
            return
        self.exercised += 1
        lacking = [each for each in newer if METHODS[each].since > known]
        if lacking:
            text = f"{new['action']} was accepted; its guest, of release {known}, has no "
            self.broken(text + ", ".join(lacking), new["instance_id"])

    def _command(self, old: Item | None, new: Item | None) -> None:
        """Nothing is sent that the engine of the instance has not."""
        if old is not None or new is None:
            return
        self.exercised += 1
        part = METHODS[new["method"]].part
        if not self._can(new["instance_id"], part):
            self.broken(f"{new['method']} was sent to an engine without it", new["instance_id"])

    def _can(self, instance_id: str, part: Part) -> bool:
        row = self.hub.row("instances", instance_id)
        return row is None or engines.can(row["manager"], part)

    def _replied(self, exchange: Exchange) -> None:
        if (asked := _part_of(exchange)) is not None and not self._can(*asked):
            self.exercised += 1
            if exchange.reply.status < REFUSALS:
                text = f"{exchange.method} for its {asked[1]}, of which it has none, was accepted"
                self.broken(text, asked[0])
            return
        found = _INSTANCE.match(exchange.path)
        if exchange.reply.status != NOT_SUPPORTED or found is None or exchange.replayed:
            return
        self.exercised += 1
        if self._known(found[1], exchange.begun) == RELEASE:
            said = exchange.reply.body[:200].decode(errors="replace")
            self.broken(f"its guest knows all, and {exchange.method} was refused: {said}", found[1])
