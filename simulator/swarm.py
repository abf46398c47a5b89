"""Many seeds of one plan, in several processes: what each of them said, and the sums."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Final

import msgspec

from simulator.faults import REGISTRY
from simulator.invariants import REGISTRY as INVARIANTS
from simulator.outcome import told
from simulator.plan import Plan, drawn
from simulator.result import Result, ViolationResult
from simulator.run import Run
from simulator.shrink import Failure

SEEDS_PER_PROCESS: Final = 50
"""A killed coroutine keeps its stack: the processes are replaced before they are many."""


class Broken(msgspec.Struct):
    """One broken promise of one seed, with the life of its instance."""

    invariant: str
    time: float
    text: str
    instance_id: str | None = None
    timeline: list[str] = []


class Outcome(msgspec.Struct):
    """What one seed said. A run that broke off with an error says so in `error`, and no more."""

    seed: int
    faults: dict[str, float]
    virtual_seconds: float = 0.0
    wall_seconds: float = 0.0
    guest_hours: float = 0.0
    events: int = 0
    trace_hash: str = ""
    asked: int = 0
    operations: int = 0
    injected: dict[str, int] = {}
    verdicts: dict[str, str] = {}
    broken: list[Broken] = []
    error: str = ""
    error_kind: str = ""
    """The type of the error."""
    per_guest_month: float | None = None
    """Dollars, see `Cost`; None of a run that broke off, and in lines of earlier releases."""
    plan: str = ""
    """See `of_plan`."""

    @property
    def failed(self) -> bool:
        """Whether a promise is broken, or an error was raised that nobody expected."""
        return bool(self.broken or self.error)

    def failure(self) -> Failure:
        """What broke first in a failing seed, or the error."""
        first = min(self.broken, key=lambda each: each.time, default=None)
        if first is None:
            return Failure(self.error_kind, ViolationResult(0.0, None, self.error))
        where = (first.time, first.instance_id, first.text, first.timeline)
        return Failure(first.invariant, ViolationResult(*where))


def of_plan(plan: Plan) -> str:
    """What the seeds of one swarm have in common: a digest of their plan, but for the seed."""
    same = msgspec.json.encode(msgspec.structs.replace(plan, seed=0, title=""))
    return hashlib.sha256(same).hexdigest()[:16]


def run_seed(plan: Plan) -> Outcome:
    """Run one plan to its end, whatever happens in it."""
    asked, plan = of_plan(plan), drawn(plan)
    try:
        result = Run(plan).execute()
    except Exception as error:  # noqa: BLE001 - it is one seed's outcome, and the others go on
        kind = type(error).__name__
        return Outcome(plan.seed, plan.faults, error=told(error), error_kind=kind, plan=asked)
    unexpected = result.errors[0] if result.errors else None
    return Outcome(
        seed=plan.seed,
        faults=plan.faults,
        virtual_seconds=result.virtual_seconds,
        wall_seconds=result.wall_seconds,
        guest_hours=result.guest_hours,
        events=result.events,
        trace_hash=result.trace_hash,
        asked=result.asked,
        operations=sum(each.accepted for each in result.operations.values()),
        injected={name: each.injected for name, each in result.faults.items() if each.injected},
        verdicts={name: each.verdict for name, each in result.invariants.items()},
        broken=_broken(result),
        error=unexpected.text if unexpected is not None else "",
        error_kind=unexpected.kind if unexpected is not None else "",
        per_guest_month=result.cost.per_guest_month,
        plan=asked,
    )


def _broken(result: Result) -> list[Broken]:
    return [
        Broken(
            name,
            violation.time,
            violation.text,
            violation.instance_id,
            violation.timeline,
        )
        for name, each in result.invariants.items()
        for violation in each.violations
    ]


def outcomes(plan: Plan, seeds: Sequence[int], jobs: int) -> Iterator[Outcome]:
    """Run the plan with each seed; what is ready first comes first."""
    at_once = jobs * SEEDS_PER_PROCESS
    for begin in range(0, len(seeds), at_once):
        plans = [
            msgspec.structs.replace(plan, seed=seed) for seed in seeds[begin : begin + at_once]
        ]
        pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
        try:
            for future in as_completed([pool.submit(run_seed, each) for each in plans]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


class Totals:
    """The sums over all seeds that are ready."""

    def __init__(self) -> None:
        self.ready: set[int] = set()
        self.failing: list[Outcome] = []
        self.guest_hours = 0.0
        self.virtual_seconds = 0.0
        self._priced_hours = self._cost = 0.0
        self.events = 0
        self.asked = 0
        self.operations = 0
        self.injected: Counter[str] = Counter()
        self.seeds_with: Counter[str] = Counter()
        """In how many seeds a fault class struck."""
        self.verdicts: dict[str, Counter[str]] = {name: Counter() for name in INVARIANTS}

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.ready.add(outcome.seed)
        if outcome.failed:
            self.failing.append(outcome)
        self.guest_hours += outcome.guest_hours
        self.virtual_seconds += outcome.virtual_seconds
        if outcome.per_guest_month is not None:
            self._priced_hours += outcome.guest_hours
            self._cost += outcome.per_guest_month * outcome.guest_hours
        self.events += outcome.events
        self.asked += outcome.asked
        self.operations += outcome.operations
        self.injected.update(outcome.injected)
        self.seeds_with.update(outcome.injected.keys())
        for name, verdict in outcome.verdicts.items():
            self.verdicts[name][verdict] += 1

    @property
    def per_guest_month(self) -> float | None:
        """Dollars, on the average of all hours of guests whose run tells it; None without any."""
        return self._cost / self._priced_hours if self._priced_hours else None

    @property
    def seeds(self) -> int:
        """How many are ready."""
        return len(self.ready)

    def faults(self) -> list[tuple[str, str, int, int]]:
        """Each class that can strike: id, title, injections, seeds in which it struck."""
        return [
            (name, fault.title, self.injected[name], self.seeds_with[name])
            for name, fault in REGISTRY.items()
        ]
