"""I21: what is over is kept for as long as is promised, and no longer."""

from __future__ import annotations

from typing import Final

from chalicelib.domain.operations import TERMINAL
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.status import BackupStatus, ConfigurationStatus, RolloutStatus
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.rows import changed

DAY_SECONDS: Final = 86400.0
EVENT_DAYS: Final = 90
KEPT_REPLY_DAYS: Final = 1
SOME_DAYS: Final = 8
"""What is of no use once its call or operation is over goes within so many."""
ROUNDED_SECONDS: Final = 60.0


class Kept(Invariant):
    """Looks at the expiry of each row that is given one, and at what is over without one."""

    id = "I21"
    title = "What is over is kept as long as is promised, and no longer"

    def watch(self) -> None:
        days = settings().deleted_row_days
        for table, least, most in (
            ("instances", days, days),
            ("rollouts", days, days),
            ("configurations", days, days),
            ("backups", days, days),
            ("operations", days, days),
            ("events", EVENT_DAYS, EVENT_DAYS),
            ("arguments", 0, SOME_DAYS),
            ("commands", 0, SOME_DAYS),
            ("calls", 0, SOME_DAYS),
            ("kept-replies", KEPT_REPLY_DAYS, KEPT_REPLY_DAYS),
        ):
            self._watch(table, least * DAY_SECONDS, most * DAY_SECONDS)

    def _watch(self, table: str, least: float, most: float) -> None:
        def written(old: Item | None, new: Item | None) -> None:
            if new is None or not changed(old, new, "expires") or self.hub.restoring:
                return
            self.exercised += 1
            left = float(new.get("expires", "inf")) - self.hub.run.kernel.now
            if not least - ROUNDED_SECONDS <= left <= most + ROUNDED_SECONDS:
                self.broken(f"a row of {table} is kept for {left:.0f} s")

        self.hub.on_write(table, written)

    def check_healed(self) -> None:
        operations = {row["id"]: row for row in self.hub.rows("operations")}
        for row in operations.values():
            if row["status"] in TERMINAL:
                self._over("operation", row, row["instance_id"])
        for row in self.hub.rows("instances"):
            if row["status"] == Status.DELETED:
                self._over("instance", row, row["id"])
        for row in self.hub.rows("rollouts"):
            if row["status"] != RolloutStatus.RUNNING:
                self._over("rollout", row, row["id"])
        for row in self.hub.rows("configurations"):
            if row["status"] == ConfigurationStatus.DELETED:
                self._over("configuration group", row, row["id"])
        for row in self.hub.rows("backups"):
            if row["status"] == BackupStatus.DELETED:
                self._over("backup", row, row["id"])
        for row in self.hub.rows("arguments"):
            operation = operations.get(row["id"])
            self.exercised += 1
            if operation is None or operation["status"] in TERMINAL:
                self.broken(f"what operation {row['id']} was asked for outlives it")

    def _over(self, what: str, row: Item, instance_id: str) -> None:
        self.exercised += 1
        if "expires" not in row:
            self.broken(f"{what} {row['id']} is over and never expires", instance_id)
