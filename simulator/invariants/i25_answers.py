"""I25: a step that asks a guest is done by an answer to what was asked, and by nothing else."""

from __future__ import annotations

import json

import msgspec

from chalicelib.bus.contract import METHODS
from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import OperationAction, command_id
from chalicelib.store.ending_backups import VERDICT
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.rows import json_of


class Answers(Invariant):
    """Looks at each step that is recorded as ended, for the command that it has sent.

    An undoing may have nothing to ask: a delete waits, or nothing was done yet. Nor has a trial of
    what the store has judged, or a restore onto a volume that is no larger than its snapshot.
    """

    id = "I25"
    title = "A step that asks a guest is done by an answer that fits what was asked"

    def watch(self) -> None:
        self.hub.on_write("operations", self._operation)

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if old is None or new is None or self.hub.restoring:
            return
        flow = FLOWS[new["action"]]
        for step in sorted(new.get("ended", {}).keys() - old.get("ended", {}).keys()):
            if flow.waits_for_guest(step):
                self._ended(new, step)

    def _ended(self, operation: Item, step: str) -> None:
        command = self.hub.row("commands", command_id(operation["id"], step)) or {}
        if not command and self._is_needless(operation, step):
            return
        self.exercised += 1
        said = command.get("result", "null")
        try:
            METHODS[command["method"]].decode(json.loads(said))
        except (KeyError, msgspec.ValidationError):
            text = f"{operation['action']} went on from {step}, its guest had said {said!r}"
            self.broken(text, operation["instance_id"])

    def _is_needless(self, operation: Item, step: str) -> bool:
        judged = VERDICT in operation.get("resources", {})
        if judged or FLOWS[operation["action"]].undoes(step):
            return True
        if (operation["action"], step) != (OperationAction.RESTORE_SNAPSHOT, "grow"):
            return False
        backup = self.hub.row("backups", json_of(operation, "arguments")["backup"]) or {}
        instance = self.hub.row("instances", operation["instance_id"]) or {}
        return bool(backup.get("snapshot_gib") == instance.get("volume_size"))
