"""What a run measures while it goes: operations and their latencies, and samples over time."""

from __future__ import annotations

from collections import Counter
from typing import Final

from chalicelib.domain.operations import TERMINAL
from simulator import cost
from simulator.aws.dynamodb.values import Item
from simulator.result import ActionResult, Series
from simulator.template import PREFIX
from simulator.world import World

INSTANCES: Final = f"{PREFIX}-instances"
BACKUPS: Final = f"{PREFIX}-backups"
SCHEDULES: Final = f"{PREFIX}-backup-schedules"
OPERATIONS: Final = f"{PREFIX}-operations"
CONTROL_QUEUES: Final = ("taskmanager", "conductor", "heartbeats", "dead-letters")
EXISTING: Final = ("BUILD", "ACTIVE", "ERROR", "SHUTDOWN")


class Meters:
    """Watches the tables, and is asked for a sample now and then."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.status: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.ended: Counter[tuple[str, str]] = Counter()
        self.latencies: dict[str, list[float]] = {}
        self.live = self.backups = self.schedules = 0
        """Operations that are live, backups that are there, and schedules that have a next time."""
        self.guest_hours = 0.0
        self.series = Series()
        self._recent: list[float] = []
        self._calls = 0
        self._sampled_at = world.kernel.now

    def watch(self) -> None:
        """Begin, from what the tables hold."""
        self._count()
        self.world.region.dynamodb.watchers.append(self._written)
        self.world.region.dynamodb.restored.append(lambda _: self._count())

    def _count(self) -> None:
        """From what the tables hold, which a restore of them changes without a write."""
        rows = self.world.region.dynamodb.rows
        self.status = Counter(row["status"] for row in rows(INSTANCES))
        self.backups = sum(map(_is_there, rows(BACKUPS)))
        self.schedules = sum("next_at" in row for row in rows(SCHEDULES))

    @property
    def guests(self) -> int:
        """Instances that exist."""
        return sum(self.status[each] for each in EXISTING)

    def _written(self, table: str, old: Item | None, new: Item | None) -> None:
        if table == INSTANCES:
            before, after = (old or {}).get("status"), (new or {}).get("status")
            if before != after:
                if before is not None:
                    self.status[before] -= 1
                if after is not None:
                    self.status[after] += 1
        elif table == BACKUPS:
            self.backups += _is_there(new) - _is_there(old)
        elif table == SCHEDULES:
            self.schedules += ("next_at" in (new or {})) - ("next_at" in (old or {}))
        elif table == OPERATIONS and new is not None:
            self._operation(old, new)

    def _operation(self, old: Item | None, new: Item) -> None:
        action, status = str(new["action"]), new["status"]
        if old is None:
            self.accepted[action] += 1
            self.live += 1
        if status in TERMINAL and (old or {}).get("status") != status:
            self.live -= 1
            self.ended[action, str(status)] += 1
            seconds = self.world.kernel.now - float(new["created"])
            self.latencies.setdefault(action, []).append(seconds)
            self._recent.append(seconds)

    def sample(self) -> None:
        """Add one sample to the series."""
        world, series = self.world, self.series
        elapsed = world.elapsed
        self.guest_hours += self.status["ACTIVE"] * (world.kernel.now - self._sampled_at) / 3600.0
        self._sampled_at = world.kernel.now
        series.time.append(round(elapsed, 3))
        for name in (*EXISTING, "DELETED"):
            series.status.setdefault(name, []).append(self.status[name])
        queues = world.region.sqs.queues
        for name in CONTROL_QUEUES:
            found = queues.get(f"{PREFIX}-{name}")
            series.queues.setdefault(name, []).append(len(found.messages) if found else 0)
        beginning = f"{PREFIX}-guest-"
        waiting = sum(len(q.messages) for n, q in queues.items() if n.startswith(beginning))
        series.queues.setdefault("guests", []).append(waiting)
        series.live_operations.append(self.live)
        self._recent.sort()
        series.latency_p50.append(percentile(self._recent, 0.5))
        series.latency_p95.append(percentile(self._recent, 0.95))
        self._recent = []
        series.cost.append(round(sum(cost.by_service(world).values()), 6))
        calls = world.region.effects.made.total()
        series.calls.append(calls - self._calls)
        self._calls = calls

    def operations(self) -> dict[str, ActionResult]:
        """What became of the operations, by action."""
        found = {}
        for action in sorted(self.accepted):
            latencies = sorted(self.latencies.get(action, ()))
            found[action] = ActionResult(
                accepted=self.accepted[action],
                succeeded=self.ended[action, "SUCCEEDED"],
                failed=self.ended[action, "FAILED"],
                cancelled=self.ended[action, "CANCELLED"],
                latency_p50=percentile(latencies, 0.5),
                latency_p95=percentile(latencies, 0.95),
                latency_p99=percentile(latencies, 0.99),
                latency_max=latencies[-1] if latencies else None,
            )
        return found


def percentile(ordered: list[float], share: float) -> float | None:
    """The value that so large a share of an ordered list does not exceed; None of an empty one."""
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)


def _is_there(row: Item | None) -> bool:
    return row is not None and row["status"] != "DELETED"
