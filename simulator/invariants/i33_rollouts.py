"""I33: what begins operations has no more under way than it may, and none left when it ends.

A rollout counts what has ended, and leaves none out. Each instance is rebuilt by it once at most,
and none after somebody called it back. A change of a configuration group may come to an instance
again, with newer values, when the operation before has ended. A delete of a backup takes along what
builds on it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container
from typing import Any, Final

from chalicelib.domain.configurations import AT_ONCE
from chalicelib.domain.operations import TERMINAL, OperationAction, OperationStatus
from chalicelib.store.backups import MOST_CHILDREN
from chalicelib.store.rollouts import REBUILDS
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.rows import changed

_COUNTED: Final = {OperationStatus.SUCCEEDED: "rebuilt", OperationStatus.FAILED: "failed"}
_PARENTS: Final = (OperationAction.ROLL_OUT, OperationAction.APPLY)


class Rollouts(Invariant):
    """Follows the children of each operation that has any, and looks at its count at its end."""

    id = "I33"
    title = "A parent has no more under way than it may, and counts each that ended once"

    def watch(self) -> None:
        self._children: dict[str, dict[str, str]] = {}
        """The statuses of an operation's children by their instance."""
        self.hub.on_write("operations", self._written)

    def _written(self, old: Item | None, new: Item | None) -> None:
        if new is None or not changed(old, new, "status"):
            return
        if parent_id := new.get("parent_id"):
            self._child(str(parent_id), old, new)
        elif new["action"] in _PARENTS and new["status"] in TERMINAL:
            self._ended(new)

    def _child(self, parent_id: str, old: Item | None, new: Item) -> None:
        self.exercised += 1
        known = self._children.setdefault(parent_id, {})
        if old is None:
            self._begun(parent_id, known, new)
        known[new["instance_id"]] = str(new["status"])

    def _begun(self, parent_id: str, known: dict[str, str], new: Item) -> None:
        instance_id = str(new["instance_id"])
        parent = self.hub.row("operations", parent_id) or {}
        again = parent.get("action") == OperationAction.APPLY
        if instance_id in known and not (again and known[instance_id] in TERMINAL):
            self.broken(f"{parent_id} began a second {new['action']}", instance_id)
        if "cancelled" in parent or parent.get("compensating") or "reason" in parent:
            self.broken(f"{parent_id} began a {new['action']} after it was stopped", instance_id)
        live = 1 + sum(status not in TERMINAL for status in known.values())
        most = MOST_CHILDREN  # of a delete that takes along what builds on a backup
        if parent.get("action") in _PARENTS:
            most = AT_ONCE if again else json.loads(parent["arguments"])["at_once"]
        if live > most:
            self.broken(f"{parent_id} has {live} under way, and may have {most}", instance_id)

    def _ended(self, new: Item) -> None:
        """One that ended in order, or was stopped, has counted all that it began."""
        self.exercised += 1
        stopped = new["status"] != OperationStatus.SUCCEEDED
        if stopped and "wait" not in (new.get("ended") or {}):
            return  # it says that rebuilds may still run
        known, told = self._children.get(new["id"], {}), new.get("resources") or {}
        ends = Counter(known.values())
        if live := [each for each, status in known.items() if status not in TERMINAL]:
            self.broken(f"{new['id']} has ended before its children", live[0])
        if new["action"] == OperationAction.APPLY:
            return  # it counts those of its last turn
        if new["status"] == OperationStatus.SUCCEEDED and not self.hub.restored_at:
            self._whole(new, known)
        for status, name in _COUNTED.items():
            if ends[status] != (said := told.get(name, 0)):
                self.broken(f"{new['id']} counts {said} {name}, and {ends[status]} were")
        if told.get("skipped", 0) < ends[OperationStatus.CANCELLED]:
            self.broken(f"{new['id']} has not counted who was called back")

    def _whole(self, new: Item, known: Container[str]) -> None:
        """What fits, and was there and at nothing all the time, it has rebuilt.

        What begins or ends for an instance gives its row another time.
        """
        wanted: dict[str, Any] = json.loads(new["arguments"])
        if wanted.get("agent") is not None:
            return
        for row in self.hub.rows("instances"):
            if (
                row["id"] not in known
                and wanted.get("version_id") in (None, row["datastore_version_id"])
                and wanted.get("project_id") in (None, row["tenant_id"])
                and row["status"] in REBUILDS
                and "operation_id" not in row
                and float(row["updated"]) < float(new["created"]) - self.hub.lag
                and row.get("image_id") != wanted["image_id"]
            ):
                self.broken(f"the rollout {new['id']} has ended, and has left it out", row["id"])
