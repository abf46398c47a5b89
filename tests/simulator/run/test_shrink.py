"""Shrinking: what is left still fails, is never larger, and nothing in it is superfluous."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simulator.actions import ACTIONS
from simulator.faults import REGISTRY
from simulator.mix import USUAL_MIX
from simulator.plan import Outage, Plan, Workload
from simulator.result import ViolationResult
from simulator.run import Run
from simulator.shrink import (
    DETERMINISM,
    LEAST_HOURS,
    Fails,
    Failure,
    OutOfTime,
    Progress,
    failing_like,
    failure_of,
    failure_of_error,
    shrink,
)
from tests.saboteurs.plans import PLANS
from tests.saboteurs.registry import Patch
from tests.saboteurs.saboteurs import SABOTEURS

FAULTS: Final = list(REGISTRY)
TIME = 900.0


def failure(time: float = TIME) -> Failure:
    return Failure("I3", ViolationResult(time, None, "two live operations"))


def when(condition: Callable[[Plan], bool]) -> Fails:
    """Stands for a run: a plan fails when this is so of it."""
    return lambda plan: failure() if condition(plan) else None


BIG = Plan(
    scenario="big",
    guests=50,
    hours=4.0,
    workload=Workload(operations_per_guest_hour=8.0),
    faults=dict.fromkeys(FAULTS, 0.1),
    outages=[Outage("sqs", 1.0, 2.0), Outage("sts", 3.0, 2.0)],
)


def test_only_what_the_failure_needs_is_left() -> None:
    def needs(plan: Plan) -> bool:
        return (
            {"F3", "F15"} <= set(plan.faults)
            and plan.guests >= 3
            and "restart" in (plan.workload.mix or USUAL_MIX)
            and plan.workload.operations_per_guest_hour > 0
        )

    found = shrink(BIG, failure(), when(needs))
    assert found.complete
    assert found.plan == Plan(
        scenario="big",
        guests=3,
        hours=LEAST_HOURS,
        workload=Workload(operations_per_guest_hour=1.0, mix={"restart": USUAL_MIX["restart"]}),
        faults={"F3": 0.1, "F15": 0.1},
        empty_at_end=False,
    )


def test_a_failure_that_needs_nothing_leaves_nothing() -> None:
    found = shrink(BIG, failure(), when(lambda _: True))
    assert (found.plan.guests, found.plan.faults, found.plan.outages) == (1, {}, [])
    assert found.plan.workload == Workload(operations_per_guest_hour=0.0)


def test_hours_end_just_after_the_violation() -> None:
    def fails(plan: Plan) -> Failure | None:
        return failure() if plan.hours * 3600.0 >= TIME else None

    assert shrink(BIG, failure(), fails).plan.hours == TIME / 3600.0


def test_a_plan_that_fails_only_as_it_is_stays_as_it_is() -> None:
    found = shrink(BIG, failure(), when(lambda plan: plan == BIG))
    assert found.plan == BIG
    assert found.complete


def test_no_plan_runs_twice_and_each_run_is_told() -> None:
    ran: list[bytes] = []
    told: list[Progress] = []

    def fails(plan: Plan) -> Failure | None:
        ran.append(msgspec.json.encode(plan))
        return failure() if "F7" in plan.faults and plan.guests > 6 else None

    found = shrink(BIG, failure(), fails, told=told.append)
    assert len(set(ran)) == len(ran) == len(told) == found.runs
    assert told[-1] == Progress(found.plan, found.failure, found.runs)


def test_a_bound_on_runs_ends_it_with_what_is_known() -> None:
    found = shrink(BIG, failure(), when(lambda plan: "F7" in plan.faults), most_runs=5)
    assert found.runs == 5
    assert not found.complete
    assert found.plan.hours < BIG.hours


def test_the_end_of_the_time_ends_it_with_what_is_known() -> None:
    def fails(plan: Plan) -> Failure | None:
        if plan.faults != BIG.faults:
            raise OutOfTime
        return failure()

    found = shrink(BIG, failure(), fails)
    assert not found.complete
    assert (found.plan.guests, found.plan.faults) == (1, BIG.faults)


FEW: Final = FAULTS[:6]
needs = st.sets(st.sampled_from(FEW), min_size=1, max_size=3)
shares = st.floats(0.0, 1.0)
plans = st.builds(
    Plan,
    guests=st.integers(1, 200),
    hours=st.floats(LEAST_HOURS, 24.0),
    faults=st.dictionaries(st.sampled_from(FEW), st.just(0.1), min_size=3),
    empty_at_end=st.booleans(),
    workload=st.builds(
        Workload,
        operations_per_guest_hour=st.sampled_from([0.0, 0.5, 40.0]),
        mix=st.dictionaries(st.sampled_from(list(ACTIONS)), st.just(1.0), max_size=6),
    ),
)


@settings(deadline=None)
@given(plan=plans, any_of=st.lists(needs, min_size=2, max_size=4), guests=shares, hours=shares)
def test_whatever_it_finds_fails_and_is_no_larger(
    plan: Plan, any_of: list[set[str]], guests: float, hours: float
) -> None:
    """It fails in several ways, each with fault classes of its own, as a real run may."""
    least = (guests * plan.guests, hours * plan.hours)

    def fails(plan: Plan) -> Failure | None:
        enough = plan.guests >= least[0] and plan.hours >= least[1]
        caused = any(each <= set(plan.faults) for each in any_of)
        return failure() if enough and caused else None

    assume(fails(plan) is not None)
    found = shrink(plan, failure(), fails, most_runs=10_000)
    assert fails(found.plan) is not None
    assert found.complete
    assert found.plan.faults.items() <= plan.faults.items()
    assert found.plan.guests <= plan.guests
    assert found.plan.hours <= plan.hours
    before, after = plan.workload, found.plan.workload
    assert after.operations_per_guest_hour <= before.operations_per_guest_hour
    assert set(after.mix) <= set(before.mix or USUAL_MIX)
    assert found.plan.empty_at_end <= plan.empty_at_end
    for name in found.plan.faults:
        rest = {each: 0.1 for each in found.plan.faults if each != name}
        assert fails(msgspec.structs.replace(found.plan, faults=rest)) is None


# ----------------------------------------------------------------------------- of real runs


def test_a_bug_is_found_again_in_a_much_shorter_run(monkeypatch: pytest.MonkeyPatch) -> None:
    saboteur = next(each for each in SABOTEURS if each.name == "no lease")
    saboteur.apply(Patch(monkeypatch))
    drawn = {**PLANS[saboteur.plan].faults, "F2": 0.1, "F9": 0.1, "F10": 0.1}
    plan = msgspec.structs.replace(PLANS[saboteur.plan], faults=drawn)
    first = failure_of(Run(plan).execute())
    assert first is not None
    found = shrink(plan, first, failing_like(first, lambda: False), most_runs=15)
    assert found.failure.what == first.what == "I3"
    assert set(found.plan.faults) < set(drawn)
    assert found.plan.hours < plan.hours / 10
    again = failure_of(Run(found.plan).execute())
    assert again is not None
    assert (again.what, again.violation.time) == ("I3", found.failure.violation.time)
    assert again.violation.text == found.failure.violation.text
    assert any("I3" in line for line in found.failure.violation.timeline)


def raising(plan: Plan) -> Run:
    raise KeyError("nobody expected this")


def test_an_error_in_a_run_is_followed_by_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "_heal", raising)
    plan = Plan(guests=4, hours=0.1, faults={"F1": 0.1})
    first = failure_of_error(KeyError("x"))
    found = shrink(plan, first, failing_like(first, lambda: False))
    assert (found.plan.guests, found.plan.faults) == (1, {})
    assert "nobody expected this" in found.failure.violation.text
    other = failure_of_error(ValueError("x"))
    assert failing_like(other, lambda: False)(plan) is None


def test_what_an_actor_raised_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACTIONS, "list", raising)
    workload = Workload(operations_per_guest_hour=60.0, mix={"list": 1.0, "show": 1.0})
    plan = Plan(guests=2, hours=0.1, workload=workload, empty_at_end=False)
    result = Run(plan).execute()
    first = failure_of(result)
    assert first is not None
    assert first.what == result.errors[0].kind == "TypeError"
    assert failing_like(first, lambda: False)(plan) is not None


def test_a_run_is_given_up_when_the_time_is_over() -> None:
    with pytest.raises(OutOfTime):
        failing_like(failure(), lambda: True)(Plan(guests=2, hours=1.0))


def test_a_plan_that_gives_one_trace_does_not_fail_like_l9() -> None:
    alike = Failure(DETERMINISM, ViolationResult(0.0, None, "two traces"))
    assert failing_like(alike, lambda: False)(Plan(guests=1, hours=0.01)) is None


def test_what_an_extreme_has_changed_goes_back_to_what_is_usual() -> None:
    workload = Workload(
        operations_per_guest_hour=1.0, at_once=8, most_in_a_list=40, limits={"ram": 512}
    )
    plan = msgspec.structs.replace(BIG, workload=workload, batch=1, prepared=False)
    found = shrink(plan, failure(), when(lambda plan: plan.workload.at_once == 8)).plan
    assert (found.batch, found.prepared, found.workload.most_in_a_list) == (0, True, 3)
    assert found.workload.at_once == 8
    assert found.workload.limits == {}
