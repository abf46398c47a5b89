"""I36: a configuration group in use is there, and what its guests hold is what its row tells."""

from __future__ import annotations

import json
from typing import Any, Final

from chalicelib.domain.configurations import UNKNOWN
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.status import ConfigurationStatus
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.rows import changed

_NOTHING: Final[dict[str, Any]] = {}


class Configured(Invariant):
    """Remembers the values of each revision, and compares them with the guests when all has healed.

    A guest may hold newer values than its row tells, from an operation that has failed later; never
    older ones. Where every instance of a group was told, as the group says, none holds older ones.
    """

    id = "I36"
    title = "A configuration group in use is there, and its guests hold what is told"

    def watch(self) -> None:
        self._values: dict[str, dict[int, list[dict[str, Any]]]] = {}
        for row in self.hub.rows("configurations"):
            self._learn(row)
        self.hub.on_write("configurations", self._group)
        self.hub.on_write("instances", self._instance)

    def _learn(self, row: Item) -> None:
        """After a restore of tables a revision comes a second time, and with other values."""
        revisions = self._values.setdefault(row["id"], {})
        known = revisions.setdefault(int(row["revision"]), [])
        if (values := json.loads(row["wanted"])) not in known:
            known.append(values)

    def _group(self, old: Item | None, new: Item | None) -> None:
        if new is None:
            return
        self._learn(new)
        if old is not None and changed(old, new, "revision"):
            self.exercised += 1
            if int(new["revision"]) != int(old["revision"]) + 1 and not self.hub.restoring:
                self.broken(f"from revision {old['revision']} to {new['revision']}", new["id"])
            if not changed(old, new, "updated") and not self.hub.restoring:
                self.broken(f"revision {new['revision']} is not told to be newer", new["id"])
        if changed(old, new, "status") and new["status"] == ConfigurationStatus.DELETED:
            self.hub.soon(self._unused, new["id"])
            if "index_tenant" in new:
                self.broken("it is deleted, and stays in its tenant's list", new["id"])

    def _unused(self, group_id: str) -> None:
        for row in self.hub.rows("instances"):
            self._there(row, group_id)

    def _instance(self, old: Item | None, new: Item | None) -> None:
        if new is not None and changed(old, new, "configuration_id"):
            self.hub.soon(self._look, new["id"])

    def _look(self, instance_id: str) -> None:
        row = self.hub.row("instances", instance_id)
        if row is not None and "configuration_id" in row:
            self._there(row, row["configuration_id"])

    def _there(self, row: Item, group_id: str) -> None:
        """What an instance has is there, is its tenant's, and knows of it."""
        if row.get("configuration_id") != group_id or row["status"] == Status.DELETED:
            return
        if self.hub.restoring:
            return
        self.exercised += 1
        group = self.hub.row("configurations", group_id)
        if group is None or group["status"] == ConfigurationStatus.DELETED:
            self.broken(f"its configuration group {group_id} is deleted", row["id"])
        elif group["tenant_id"] != row["tenant_id"]:
            self.broken(f"its configuration group is {group['tenant_id']}'s", row["id"])
        elif not any(
            (each["configuration_id"], each["instance_id"]) == (group_id, row["id"])
            for each in self.hub.rows("attachments")
        ):
            self.broken(f"its configuration group {group_id} does not know of it", row["id"])

    def check(self) -> None:
        for row in self.hub.rows("instances"):
            if "configuration_id" in row:
                self._there(row, row["configuration_id"])

    def check_healed(self) -> None:
        troubled = {
            row["instance_id"]
            for row in self.hub.rows("operations")
            if row["status"] != OperationStatus.SUCCEEDED
            or "configuration_refused" in row.get("resources", {})
        }
        for row in self.hub.rows("instances"):
            if row["status"] == Status.ACTIVE and "operation_id" not in row:
                self._compare(row, troubled=row["id"] in troubled)

    def _compare(self, row: Item, *, troubled: bool) -> None:
        group_id, held = row.get("configuration_id"), row.get("configuration_held")
        server_id = json.loads(row.get("resources") or "{}").get("server_id")
        guest = self.hub.run.fleet.guests.get(server_id)
        if guest is None or guest.retired is not None or not guest.power:
            return
        self.exercised += 1
        possible = self._possible(group_id, held)
        if dict(guest.disk.configuration) not in ([*possible, _NOTHING] if troubled else possible):
            text = f"its guest holds {guest.disk.configuration}, and its row tells {held}"
            self.broken(text, row["id"])
        group = self.hub.row("configurations", group_id) if group_id is not None else None
        if self.hub.restored_at:
            return  # what a group says to have been told was told to other rows
        if group is not None and not troubled and _all_were_told(group):
            revision = int(group["revision"])
            if held != f"{group_id}/{revision}":
                self.broken(f"it has {held} of {group_id}, which is at {revision}", row["id"])

    def _possible(self, group_id: str | None, held: str | None) -> list[dict[str, Any]]:
        """What a guest may hold: what is told, or newer; or what it was to hold, and failed to."""
        possible = [] if group_id is not None and held is not None else [_NOTHING]
        if held == UNKNOWN:
            return [_NOTHING, *(each for known in self._values.values() for each in _all(known))]
        if held is not None:
            known, _, revision = held.rpartition("/")
            revisions = self._values[known]
            possible += _all({each: revisions[each] for each in revisions if each >= int(revision)})
        if group_id is not None:
            possible += _all(self._values[group_id])
        return possible


def _all(revisions: dict[int, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [values for each in revisions.values() for values in each]


def _all_were_told(group: Item) -> bool:
    """Whether nothing speaks for it that a guest holds older values than its group has."""
    if "operation_id" in group or group["applied"] != group["revision"]:
        return False
    progress = json.loads(group.get("progress") or "{}")
    return not ("fault_message" in group or progress.get("failed") or progress.get("passed_over"))
