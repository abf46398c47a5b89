"""I41: an instance whose last backup was asked for is deleted when that is complete, not before."""

from __future__ import annotations

from chalicelib.domain.backups import is_final
from chalicelib.domain.operations import OperationAction, OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.rows import changed, json_of


class FinalBackups(Invariant):
    """Looks at each last backup that ends, at what its instance is then.

    A delete that was asked for meanwhile goes on either way: it was behind that backup. One that
    was called back keeps its instance, also when it was made all the same.
    """

    id = "I41"
    title = "An instance is deleted when its last backup is complete, and kept when that is not"

    def watch(self) -> None:
        self.hub.on_write("operations", self._operation)

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if old is None or new is None or not changed(old, new, "status") or self.hub.restoring:
            return
        final = is_final(new["action"], json_of(new, "arguments"))
        if final and new["status"] in _ENDS:
            self.hub.soon(self._ended, new["id"])

    def _ended(self, operation_id: str) -> None:
        operation = self.hub.row("operations", operation_id)
        if operation is None:
            return
        instance = self.hub.row("instances", operation["instance_id"])
        backup = self.hub.row("backups", json_of(operation, "arguments")["backup"])
        if instance is None or backup is None:
            return
        self.exercised += 1
        whole = operation["status"] == OperationStatus.SUCCEEDED
        if whole and backup["status"] != BackupStatus.COMPLETED:
            self.broken(f"its last backup is {backup['status']}", instance["id"])
        goes = whole and "cancelled" not in operation
        if goes and instance["status"] not in _GOES:
            self.broken(
                f"its last backup is complete, and it is {instance['status']}", instance["id"]
            )
        behind = self.hub.row("operations", instance.get("operation_id", ""))
        own = behind is not None and behind["action"] == OperationAction.DELETE
        if not goes and own and behind is not None and not _was_queued(behind, operation):
            why = "was called back" if whole else "was not made"
            self.broken(f"it is deleted, and its last backup {why}", instance["id"])


_ENDS = (OperationStatus.SUCCEEDED, OperationStatus.FAILED, OperationStatus.CANCELLED)
_GOES = (Status.SHUTDOWN, Status.DELETED)


def _was_queued(delete: Item, backup: Item) -> bool:
    """Whether the delete had been asked for while the backup was made."""
    return bool(delete["created"] < backup["updated"])
