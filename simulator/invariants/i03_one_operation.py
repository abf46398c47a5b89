"""I3: at most one live operation per subject, and one worker in a step of it."""

from __future__ import annotations

from typing import Final

from chalicelib.domain.operations import STARTABLE, TERMINAL, OperationStatus
from chalicelib.lifecycle import Status
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.rows import changed

_SUBJECTS: Final = ("instances", "rollouts", "configurations", "backups")


class OneOperation(Invariant):
    """Compares the operations of a subject with its row after each transaction on either."""

    id = "I3"
    title = "At most one live operation per instance, rollout or configuration group"

    def watch(self) -> None:
        self._open: dict[str, dict[str, str]] = {}
        for row in self.hub.rows("operations"):
            self._learn(row)
        self.hub.on_write("operations", self._operation)
        for table in _SUBJECTS:
            self.hub.on_write(table, self._subject)

    def _learn(self, row: Item) -> None:
        if row["status"] in TERMINAL:
            known = self._open.get(row["instance_id"])
            if known is not None:
                known.pop(row["id"], None)
                if not known:
                    del self._open[row["instance_id"]]
        else:
            self._open.setdefault(row["instance_id"], {})[row["id"]] = str(row["status"])

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if new is None:
            return
        self._lease(old, new)
        if not changed(old, new, "status", "live", "check_at"):
            return
        self._learn(new)
        terminal = new["status"] in TERMINAL
        if terminal != ("live" not in new) or terminal != ("check_at" not in new):
            text = f"{new['id']} in {new['status']} is {'still' if terminal else 'not'} to be swept"
            self.broken(text, new["instance_id"])
        self.hub.soon(self._compare, new["instance_id"])

    def _lease(self, old: Item | None, new: Item) -> None:
        """A lease is not taken from a worker that may still run."""
        if old is None or "lease_id" not in new or old.get("lease_id") == new["lease_id"]:
            return
        until = old.get("lease_until")
        if until is None:
            return
        self.exercised += 1
        if float(until) > self.hub.run.kernel.now:
            text = f"the lease of {new['id']} was taken from a worker that still had it"
            self.broken(text, new["instance_id"])

    def _subject(self, old: Item | None, new: Item | None) -> None:
        if new is not None and changed(old, new, "operation_id", "next_operation_id", "status"):
            self.hub.soon(self._compare, new["id"])

    def _compare(self, subject_id: str) -> None:
        rows = (self.hub.row(table, subject_id) for table in _SUBJECTS)
        row = next((each for each in rows if each is not None), None)
        if row is None or self.hub.restoring:
            return
        self.exercised += 1
        known = self._open.get(subject_id, {})
        live = [id_ for id_, status in known.items() if status in STARTABLE]
        queued = [id_ for id_, status in known.items() if status == OperationStatus.QUEUED]
        for found, name in ((live, "operation_id"), (queued, "next_operation_id")):
            expected = [row[name]] if name in row else []
            if found != expected:
                self.broken(f"{name} is {expected}, but there are {found}", subject_id)
        if queued and not live:
            self.broken(f"{queued} waits behind nothing", subject_id)
        if row["status"] == Status.DELETED and known:
            self.broken(f"{list(known)} go on after the instance is deleted", subject_id)

    def check(self) -> None:
        for row in (row for table in _SUBJECTS for row in self.hub.rows(table)):
            if row["id"] in self._open or "operation_id" in row:
                self._compare(row["id"])
