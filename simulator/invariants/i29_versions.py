"""I29: the version that an instance tells is its engine's, and no other series touched its data."""

from __future__ import annotations

from chalicelib.engines import numbers_of, series_of
from chalicelib.lifecycle import Status
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant


class Versions(Invariant):
    """Compares rows with the engines that their guests run, and with what was at the data.

    So what was upgraded runs the new version, and what went back the one of before.
    """

    id = "I29"
    title = "The version that an instance tells is its engine's; no other series touched its data"

    def check(self) -> None:
        if self.hub.restoring:
            return
        for row in self.hub.rows("instances"):
            if row["status"] == Status.ACTIVE and "operation_id" not in row:
                self._compare(row)

    def _compare(self, row: Item) -> None:
        told = numbers_of(row["datastore_version_number"])
        for guest in self.hub.run.fleet.of_instance(row["id"]):
            volume = guest.volume
            if not guest.up or guest.passing is not None or volume is None:
                continue
            self.exercised += 1
            engine = numbers_of(guest.engine.number)
            if engine[: len(told)] != told:
                text = f"its engine is {guest.engine.number}, it tells "
                self.broken(f"{text}{row['datastore_version_number']}", row["id"])
            touched = numbers_of(volume.touched_by)
            if touched and series_of(row["manager"], touched) != series_of(row["manager"], told):
                self.broken(f"an engine {volume.touched_by} was at its data", row["id"])
