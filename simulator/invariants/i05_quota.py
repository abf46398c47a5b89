"""I5: quota used equals what exists or is being made, is never negative, keeps its limit."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from chalicelib.domain.operations import OperationAction
from chalicelib.domain.quotas import RESOURCES, UNLIMITED
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from chalicelib.store.making_backups import HELD
from chalicelib.store.quotas import default_limits
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange
from simulator.invariants.rows import changed, held_of, unseen_end

_HOLDING: Final = frozenset(Status) - {
    *(Status.RESIZE, Status.ERROR, Status.SHUTDOWN, Status.DELETED)
}
"""A resize holds what it may come to, and goes on so when nobody saw its end."""
_RESIZES: Final = {
    "volumes": OperationAction.RESIZE_VOLUME,
    "ram": OperationAction.RESIZE_FLAVOR,
}
_HOLDERS: Final = ("instances", "backups")
_LIMITS: Final = re.compile(r"/v1\.0/[^/]+/mgmt/quotas/([^/]+)")


class QuotaSums(Invariant):
    """Keeps the sum of what the rows of each tenant hold and compares it with the counters."""

    id = "I5"
    title = "Quota used equals the sum over what exists, is never negative and keeps its limit"

    def watch(self) -> None:
        self._sums: dict[str, dict[str, int]] = {}
        for table in _HOLDERS:
            for row in self.hub.rows(table):
                self._add(row["tenant_id"], held_of(row), 1)
            self.hub.on_write(table, self._holder)
        self.hub.on_write("quotas", self._quota)
        self._limits: dict[str, list[tuple[float, dict[str, int]]]] = {}
        """Of each tenant: when it was given other limits, and which."""
        self.hub.on_reply(self._replied)

    def _replied(self, exchange: Exchange) -> None:
        """Limits that were accepted were stored meanwhile, or are there."""
        found = _LIMITS.fullmatch(exchange.path)
        if found is None or exchange.method != "PUT" or exchange.reply.status != 200:
            return
        self.exercised += 1
        wanted = json.loads(exchange.body)["quotas"]
        stored = [
            limits for when, limits in self._limits.get(found[1], []) if when >= exchange.begun
        ]
        stored.append(_limits(self.hub.row("quotas", found[1]) or {}))
        if not any(wanted.items() <= limits.items() for limits in stored):
            self.broken(f"{found[1]} was given {wanted}, which is not stored")

    def _add(self, tenant: str, held: dict[str, int], sign: int) -> None:
        sums = self._sums.setdefault(tenant, dict.fromkeys(RESOURCES, 0))
        for name, amount in held.items():
            sums[name] += sign * amount

    def _holder(self, old: Item | None, new: Item | None) -> None:
        if not changed(old, new, "held"):
            return
        row: Item = new or old or {}
        self._add(row["tenant_id"], held_of(old), -1)
        self._add(row["tenant_id"], held_of(new), 1)
        self.hub.soon(self._compare, row["tenant_id"])

    def _quota(self, old: Item | None, new: Item | None) -> None:
        if new is None:
            return
        tenant = str(new["tenant_id"])
        limits = _limits(old or new)
        for name in RESOURCES:
            before, after = _used(old, name), _used(new, name)
            if after < 0:
                self.broken(f"{tenant} uses {after} of {name}")
            if after > before and limits[name] != UNLIMITED and after > limits[name]:
                self.broken(f"{tenant} went to {after} of {name}; the limit is {limits[name]}")
        if changed(old, new, "limits"):
            self._limits.setdefault(tenant, []).append((self.hub.run.kernel.now, _limits(new)))
        self.hub.soon(self._compare, tenant)

    def _compare(self, tenant: str) -> None:
        if self.hub.restoring:
            return
        self.exercised += 1
        row = self.hub.row("quotas", tenant)
        sums = self._sums.get(tenant, {})
        for name in RESOURCES:
            counted, summed = _used(row, name), sums.get(name, 0)
            if counted != summed:
                self.broken(f"{tenant}: {counted} of {name} are counted, {summed} are held")

    def check(self) -> None:
        """Add up everything anew."""
        self._sums = {}
        for row in self.hub.rows("instances"):
            held = held_of(row)
            self._add(row["tenant_id"], held, 1)
            if self.hub.restoring or row["status"] not in _HOLDING or held == _expected(row):
                continue
            most = _expected(row)
            for name, action in _RESIZES.items():
                if unseen_end(self.hub, row["id"], action):
                    most[name] = max(most[name], held[name])
            if held != most:
                self.broken(f"in {row['status']} it holds {held}", row["id"])
        for row in self.hub.rows("backups"):
            held = held_of(row)
            self._add(row["tenant_id"], held, 1)
            if held != ({} if row["status"] == BackupStatus.DELETED else HELD):
                self.broken(f"in {row['status']} the backup {row['id']} holds {held}")
        for tenant in dict.fromkeys((*self._sums, *(q["tenant_id"] for q in self._rows()))):
            self._compare(tenant)

    def _rows(self) -> list[Item]:
        return list(self.hub.rows("quotas"))


def _limits(row: Item) -> dict[str, int]:
    stored: dict[str, int] = json.loads(row.get("limits") or "{}")
    return default_limits() | stored


def _used(row: Item | None, name: str) -> int:
    return int((row or {}).get(name) or 0)


def _expected(row: Item) -> dict[str, Any]:
    return {
        "instances": 1,
        "ram": int(row["flavor_ram"]),
        "volumes": int(row["volume_size"]),
    }
