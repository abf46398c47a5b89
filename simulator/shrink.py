"""Makes a failing plan shorter: smaller plans are run for as long as they break the same promise.

    hours ──▶ guests ──▶ faults ──▶ actions ──▶ requests ──▶ emptying ──┐
      ▲                                                                 │
      └──────────────── until a whole round makes nothing smaller ◀─────┘

Each fault class and each part of a run draws from a stream of its own, so that what is left out
does not change what is left. The search knows no clock: its caller says when the time is over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from simulator import outcome
from simulator.mix import USUAL_MIX
from simulator.plan import Plan
from simulator.result import Result, ViolationResult
from simulator.run import Run, Stopped
from simulator.verify import compared, second_run

MOST_RUNS: Final = 200
"""The dead coroutines of a run keep their stacks: one process does not run any number of them."""
HOURS_PLACES: Final = 3
"""Hours are cut to 3.6 seconds, so that a command line with them stays readable."""
LEAST_HOURS: Final = 0.01
LEAST_RATE: Final = 1.0
"""Requests for each guest and hour, below which a lower rate is not tried, but none at all is."""
DETERMINISM: Final = "L9"

Part = TypeVar("Part")


class Failure(NamedTuple):
    """What a plan broke: an invariant's id or the type of an error, and how it showed first."""

    what: str
    violation: ViolationResult


class Progress(NamedTuple):
    """How far a search is: the smallest failing plan so far, its failure, and runs so far."""

    plan: Plan
    failure: Failure
    runs: int


class Shrunk(NamedTuple):
    """The outcome of a search; `complete` when nothing can be left out of the plan."""

    plan: Plan
    failure: Failure
    runs: int
    complete: bool


class OutOfTime(Exception):
    """There is no more time for a run."""


Fails = Callable[[Plan], Failure | None]
"""Runs a plan: how it fails in the same way, or None. OutOfTime ends the search."""


def shrink(
    plan: Plan,
    failure: Failure,
    fails: Fails,
    *,
    told: Callable[[Progress], None] | None = None,
    most_runs: int = MOST_RUNS,
) -> Shrunk:
    """The smallest plan that was found to fail in the same way, after at most so many runs.

    The plan must be drawn. `told` is called after each run.
    """
    search = _Search(plan, failure, fails, told, most_runs)
    try:
        search.to_the_end()
        complete = True
    except OutOfTime:
        complete = False
    return Shrunk(search.plan, search.failure, search.runs, complete)


# ------------------------------------------------------------------------------ what a run says


def failure_of(result: Result) -> Failure | None:
    """What a run broke first (of several at once, the contract's first), or an error in it."""
    found = [
        Failure(name, violation)
        for name, each in result.invariants.items()
        for violation in each.violations
    ]
    if not found:
        end = result.virtual_seconds
        found = [
            Failure(each.kind, ViolationResult(end, None, f"{each.who} raised {each.text}"))
            for each in result.errors
        ]
    return min(found, key=lambda each: each.violation.time, default=None)


def failure_of_error(error: BaseException, time: float = 0.0) -> Failure:
    """An error that nobody expected, raised at a virtual second of the run."""
    return Failure(type(error).__name__, ViolationResult(time, None, outcome.told(error)))


def failing_like(failure: Failure, out_of_time: Callable[[], bool]) -> Fails:
    """Runs plans, each just as long as it takes to see whether it fails like this."""
    what = failure.what

    def fails(plan: Plan) -> Failure | None:
        if what == DETERMINISM:
            return _differs(plan, out_of_time)
        run = Run(plan)
        try:
            run.execute(stop=lambda: _seen(run, what) is not None or out_of_time())
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - this, or another one, is what is looked for
            found = failure_of_error(error, run.world.elapsed)
            return found if found.what == what else None
        found_in_it = _seen(run, what)
        if found_in_it is None and out_of_time():
            raise OutOfTime
        return found_in_it

    return fails


def _seen(run: Run, what: str) -> Failure | None:
    """Whether a run has failed in this way so far."""
    for _, error in run.errors():
        if type(error).__name__ == what:
            return failure_of_error(error, run.world.elapsed)
    if run.invariants is None or what not in run.invariants.each:
        return None
    if not run.invariants.each[what].violations:
        return None
    return Failure(what, run.invariants.result(what).violations[0])


def _differs(plan: Plan, out_of_time: Callable[[], bool]) -> Failure | None:
    """Whether a second process has another trace."""
    run = Run(plan)
    with second_run(plan) as second:
        try:
            result = run.execute(stop=out_of_time)
        except Stopped:
            raise OutOfTime from None
        compared(run, result, second)
    return _seen(run, DETERMINISM)


# ---------------------------------------------------------------------------------- the search


class _Search:
    """The smallest failing plan so far, and every plan that was tried."""

    def __init__(
        self,
        plan: Plan,
        failure: Failure,
        fails: Fails,
        told: Callable[[Progress], None] | None,
        most_runs: int,
    ) -> None:
        self.plan = plan
        self.failure = failure
        self.runs = 0
        self._fails = fails
        self._told = told
        self._most_runs = most_runs
        self._tried: set[bytes] = {msgspec.json.encode(plan)}

    def to_the_end(self) -> None:
        """Round after round, until one makes nothing smaller; OutOfTime."""
        while True:
            before = self.plan
            for step in (
                *(self._hours, self._guests, self._faults),
                *(self._actions, self._requests, self._usual, self._emptying),
            ):
                step()
            if self.plan == before:
                return

    def _smaller(self, plan: Plan) -> bool:
        """Run a smaller plan; when it fails too, it is the one to make smaller from now on."""
        key = msgspec.json.encode(plan)
        if key in self._tried:  # the same plan gives the same run
            return False
        if self.runs >= self._most_runs:
            raise OutOfTime
        self._tried.add(key)
        failure = self._fails(plan)
        self.runs += 1
        if failure is not None:
            self.plan, self.failure = plan, failure
        if self._told is not None:
            self._told(Progress(self.plan, self.failure, self.runs))
        return failure is not None

    # -------------------------------------------------------------------- what can be smaller

    def _hours(self) -> None:
        """To just after the first violation, then half as long, as often as that still fails."""
        self._shorter(self.failure.violation.time / 3600.0)
        while self._shorter(self.plan.hours / 2):
            self._shorter(self.failure.violation.time / 3600.0)

    def _shorter(self, hours: float) -> bool:
        rounded = math.ceil(hours * 10**HOURS_PLACES) / 10**HOURS_PLACES
        hours = max(LEAST_HOURS, rounded)
        if hours >= self.plan.hours:
            return False
        return self._smaller(msgspec.structs.replace(self.plan, hours=hours))

    def _guests(self) -> None:
        """1, 2, 4 … until it fails, the cheapest first; then between that and the one before."""
        count, below = 1, 0
        while count < self.plan.guests and not self._with_guests(count):
            count, below = 2 * count, count
        while self.plan.guests - below > 1:
            middle = (below + self.plan.guests) // 2
            if not self._with_guests(middle):
                below = middle

    def _with_guests(self, guests: int) -> bool:
        return self._smaller(msgspec.structs.replace(self.plan, guests=guests))

    def _faults(self) -> None:
        """Fault classes and outages."""
        plan = self.plan
        names = [(name, -1) for name in plan.faults]
        outages = [("", index) for index in range(len(plan.outages))]

        def made(parts: Sequence[tuple[str, int]]) -> Plan:
            return msgspec.structs.replace(
                self.plan,
                faults={name: plan.faults[name] for name, _ in parts if name},
                outages=[plan.outages[index] for name, index in parts if not name],
            )

        self._fewer([*names, *outages], made)

    def _actions(self) -> None:
        """Actions of the workload."""
        mix = {
            name: weight for name, weight in (self.plan.workload.mix or USUAL_MIX).items() if weight
        }

        def made(names: Sequence[str]) -> Plan:
            chosen = {name: mix[name] for name in names}
            workload = msgspec.structs.replace(self.plan.workload, mix=chosen)
            return msgspec.structs.replace(self.plan, workload=workload)

        if self.plan.workload.operations_per_guest_hour:
            self._fewer(list(mix), made, at_least=1)

    def _requests(self) -> None:
        """None at all, or half as many, as often as that still fails."""
        rate = self.plan.workload.operations_per_guest_hour
        if rate and self._with_rate(0.0):
            return
        while rate > LEAST_RATE and self._with_rate(max(LEAST_RATE, rate / 2)):
            rate = max(LEAST_RATE, rate / 2)

    def _with_rate(self, rate: float) -> bool:
        workload = msgspec.structs.replace(self.plan.workload, operations_per_guest_hour=rate)
        if not rate:  # which actions nobody asks for is no part of a plan
            workload.mix = {}
        return self._smaller(msgspec.structs.replace(self.plan, workload=workload))

    def _usual(self) -> None:
        """What an extreme has changed, back to what is usual."""
        usual = Plan()
        for name in ("prepared", "batch", "heartbeat_seconds", "datastores"):
            if getattr(self.plan, name) != getattr(usual, name):
                self._smaller(msgspec.structs.replace(self.plan, **{name: getattr(usual, name)}))
        for name in ("at_once", "most_in_a_list", "limits"):
            value = getattr(usual.workload, name)
            workload = msgspec.structs.replace(self.plan.workload, **{name: value})
            if workload != self.plan.workload:
                self._smaller(msgspec.structs.replace(self.plan, workload=workload))

    def _emptying(self) -> None:
        """The end of the run, when it fails before."""
        if self.plan.empty_at_end:
            self._smaller(msgspec.structs.replace(self.plan, empty_at_end=False))

    def _fewer(
        self, parts: list[Part], made: Callable[[Sequence[Part]], Plan], at_least: int = 0
    ) -> None:
        """Delta debugging: leave out all, then halves, quarters …, until no single one can go."""
        size = len(parts)
        while size:
            before, begin = len(parts), 0
            while begin < len(parts):
                rest = parts[:begin] + parts[begin + size :]
                if len(rest) >= at_least and self._smaller(made(rest)):
                    parts = rest
                else:
                    begin += size
            # What could not go before may go now that another one has gone.
            size = size // 2 if size > 1 or len(parts) == before else 1
