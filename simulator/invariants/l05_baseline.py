"""L5: quota returns to its baseline after everything is deleted."""

from __future__ import annotations

from chalicelib.domain.quotas import RESOURCES
from chalicelib.lifecycle import Status
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant


class Baseline(Invariant):
    """Looks at the counters of each tenant that had something and has nothing any more."""

    id = "L5"
    title = "Quota returns to its baseline after everything is deleted"

    def watch(self) -> None:
        self._used: dict[str, None] = {}
        self.hub.on_write("quotas", self._written)

    def _written(self, _: Item | None, new: Item | None) -> None:
        if new is not None and any(new.get(name) for name in RESOURCES):
            self._used[new["tenant_id"]] = None

    def check_healed(self) -> None:
        owning = {
            row["tenant_id"]: None
            for table in ("instances", "backups")
            for row in self.hub.rows(table)
            if row["status"] != Status.DELETED
        }
        for quota in self.hub.rows("quotas"):
            tenant = quota["tenant_id"]
            if tenant in owning or tenant not in self._used:
                continue
            self.exercised += 1
            left = {name: int(quota[name]) for name in RESOURCES if quota.get(name)}
            if left:
                self.broken(f"{tenant} has nothing and still uses {left}")
