"""I1: only transitions that the lifecycle table allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from chalicelib.domain.operations import TERMINAL, OperationStatus, SubjectKind
from chalicelib.lifecycle import EXPELLED, TABLES, TRANSITIONS, Status
from chalicelib.status import BackupStatus, ConfigurationStatus, RolloutStatus
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.rows import changed

_ALLOWED: Final = frozenset(
    (str(before), str(after)) for (before, event), after in TRANSITIONS.items() if event != EXPELLED
)
_EXPULSIONS: Final = frozenset(
    (str(before), str(after)) for (before, event), after in TRANSITIONS.items() if event == EXPELLED
)
"""From almost everywhere to ERROR, which nothing else may do: it ends the guest's generation."""
_OF_FLOWS: Final = {
    kind: frozenset((str(before), str(after)) for (before, _), after in TABLES[kind].items())
    for kind in (SubjectKind.ROLLOUT, SubjectKind.CONFIGURATION, SubjectKind.BACKUP)
}
_DELETED: Final = (ConfigurationStatus.ACTIVE, ConfigurationStatus.DELETED)
"""What a configuration group comes to by no flow."""
_OPERATIONS: Final = frozenset(
    {
        (OperationStatus.QUEUED, OperationStatus.ACCEPTED),
        (OperationStatus.ACCEPTED, OperationStatus.RUNNING),
        *((OperationStatus.QUEUED, end) for end in TERMINAL),
        *((OperationStatus.ACCEPTED, end) for end in TERMINAL),
        *((OperationStatus.RUNNING, end) for end in TERMINAL),
    }
)
_FIRST: Final = (OperationStatus.QUEUED, OperationStatus.ACCEPTED)


class Transitions(Invariant):
    """Looks at the status of each subject and operation before and after each write."""

    id = "I1"
    title = "Only transitions that the lifecycle table allows"

    def watch(self) -> None:
        self.hub.on_write("instances", self._instance)
        rollouts = self._subject(SubjectKind.ROLLOUT, RolloutStatus.RUNNING)
        self.hub.on_write("rollouts", rollouts)
        groups = self._subject(SubjectKind.CONFIGURATION, ConfigurationStatus.ACTIVE, _DELETED)
        self.hub.on_write("configurations", groups)
        self.hub.on_write("backups", self._subject(SubjectKind.BACKUP, BackupStatus.NEW))
        self.hub.on_write("operations", self._operation)

    def _instance(self, old: Item | None, new: Item | None) -> None:
        if self.hub.restoring:
            return
        before = None if old is None else str(old["status"])
        after = None if new is None else str(new["status"])
        if before == after:
            return
        item = new or old or {}
        if before is None:
            if self.hub.run.kernel.current is None:
                return  # a fleet that is set up as rows
            self._judge(after == Status.BUILD, item, f"a new row in {after}")
        elif after is None:
            self._judge(before == Status.DELETED, item, f"the row in {before} was removed")
        else:
            expelled = changed(old or {}, item, "generation") and (before, after) in _EXPULSIONS
            fits = expelled or (before, after) in _ALLOWED
            self._judge(fits, item, f"from {before} to {after}")

    def _subject(
        self, kind: SubjectKind, first: str, *more: tuple[str, str]
    ) -> Callable[[Item | None, Item | None], None]:
        def written(old: Item | None, new: Item | None) -> None:
            if new is None or not changed(old, new, "status") or self.hub.restoring:
                return
            after = str(new["status"])
            if old is None:
                taken_in = "imported" in new and after == BackupStatus.COMPLETED
                self._judge(after == first or taken_in, new, f"a new {kind} in {after}")
            else:
                step = (str(old["status"]), after)
                fits = step in _OF_FLOWS[kind] or step in more
                self._judge(fits, new, f"from {step[0]} to {after}")

        return written

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if new is None or (old or {}).get("status") == new["status"]:
            return
        after = str(new["status"])
        name = f"{new['action']} {new['id']}"
        if old is None:
            fits, text = after in _FIRST, f"{name} began in {after}"
        else:
            before = str(old["status"])
            fits, text = (before, after) in _OPERATIONS, f"{name} went from {before} to {after}"
        self._judge(fits, {"id": new.get("instance_id", "")}, text)

    def _judge(self, fits: bool, item: Item, text: str) -> None:
        self.exercised += 1
        if not fits:
            self.broken(text, str(item["id"]))
