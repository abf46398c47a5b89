"""What a run hands back: numbers, faults, verdicts and the series that the report draws."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Verdict = Literal["holds", "broken", "not reached"]


class Counters(msgspec.Struct):
    """Where a run is, for a progress bar. All counts are since its begin."""

    virtual_seconds: float
    of_virtual_seconds: float
    wall_seconds: float
    events: int
    phase: str
    """"set-up", "chaos", "heal", "check" or "emptied"."""
    guests: int
    """Instances that exist and are not deleted."""
    live_operations: int
    operations: int
    """Operations that were accepted."""
    injected: int
    violations: int


class ActionResult(msgspec.Struct):
    """What became of one kind of operation. Latencies in virtual seconds, None without one."""

    accepted: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    latency_p50: float | None = None
    latency_p95: float | None = None
    latency_p99: float | None = None
    latency_max: float | None = None


class FaultResult(msgspec.Struct):
    """What a run made of one fault class. `strength` is None when it was off."""

    title: str
    strength: float | None
    injected: int
    reached: bool
    reason: str = ""
    """Why it is not reached."""


class ViolationResult(msgspec.Struct):
    """One broken promise: at which virtual second, on which instance, and its timeline."""

    time: float
    instance_id: str | None
    text: str
    timeline: list[str] = []


class ErrorResult(msgspec.Struct):
    """An error that nobody expected: who raised it, its type, and where it was raised."""

    who: str
    kind: str
    text: str


class InvariantResult(msgspec.Struct):
    """The verdict on one invariant."""

    title: str
    verdict: Verdict
    reason: str = ""
    violations: list[ViolationResult] = []


class Shortest(msgspec.Struct):
    """The smallest plan that was found to break the same promise as the run did first."""

    what: str
    """The invariant's id; the type of the error when the run broke off."""
    plan: dict[str, Any]
    violation: ViolationResult
    """The first one of that plan's run."""
    runs: int
    """So many smaller plans were tried."""
    wall_seconds: float
    complete: bool
    """Whether every smaller plan was tried: nothing of it can be left out."""


class Cost(msgspec.Struct):
    """US dollars at list prices."""

    per_guest_month: float
    by_service: dict[str, float]
    """Per guest and month."""
    assumptions: list[str]


class FaultLane(msgspec.Struct):
    """A stretch of virtual time in which a fault class was on, or one outage of it."""

    fault: str
    start: float
    end: float


class Series(msgspec.Struct):
    """Samples over virtual time: each list has one number for each member of `time`."""

    time: list[float] = []
    """Virtual seconds since the begin."""
    status: dict[str, list[int]] = {}
    """Instances by status."""
    queues: dict[str, list[int]] = {}
    """Messages by queue; those of all guests together are "guests"."""
    live_operations: list[int] = []
    latency_p50: list[float | None] = []
    """Of the operations that ended since the sample before."""
    latency_p95: list[float | None] = []
    cost: list[float] = []
    """Dollars since the begin."""
    calls: list[int] = []
    """Calls of AWS since the sample before."""
    faults: list[FaultLane] = []


class Result(msgspec.Struct):
    """A whole run. It survives JSON, and `plan` there is what replays it."""

    scenario: str
    seed: int
    guests: int
    virtual_seconds: float
    wall_seconds: float
    setup_wall_seconds: float
    events: int
    trace_hash: str
    guest_hours: float
    operations: dict[str, ActionResult]
    faults: dict[str, FaultResult]
    invariants: dict[str, InvariantResult]
    calls: dict[str, dict[str, int]]
    """By service and call."""
    retries: int
    """Calls that were answered with an error that a caller tries again."""
    asked: int
    """What tenants and operators asked for under the faults, floods (F22) aside."""
    replies: dict[str, int]
    """Replies of the API by status code."""
    cost: Cost
    series: Series
    plan: dict[str, Any]
    errors: list[ErrorResult] = []
    """What a tenant's request or an agent raised and nobody expected."""
    shortest: Shortest | None = None
    """None when nothing broke, or nothing smaller was looked for."""

    def broken(self) -> list[str]:
        """The ids of the broken invariants."""
        return [id_ for id_, each in self.invariants.items() if each.verdict == "broken"]
