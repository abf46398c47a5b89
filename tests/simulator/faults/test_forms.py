"""Every form of the classes that have several: it strikes, and no promise breaks."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from botocore.exceptions import ClientError

from simulator.faults import REGISTRY
from simulator.plan import Plan, Workload
from simulator.run import Run

BUSY = Workload(operations_per_guest_hour=30.0)
CHANGING = Workload(operations_per_guest_hour=30.0, mix={"create": 5.0, "delete": 4.0})
DENSE = 42.0
"""Operations a guest and hour: twelve such minutes have every form of most classes in one run."""
SEEDS = range(1, 9)
FORMS: dict[str, tuple[dict[str, float], tuple[str, ...]]] = {
    "F4": (
        {"F4": 0.3},
        (
            "failed before it was enqueued",
            "failed after it was enqueued",
            "-heartbeats outlives its retention",
            "-taskmanager outlives its retention",
            "-taskmanager is a dead letter",
            "-conductor is a dead letter",
        ),
    ),
    "F12": ({"F12": 1.0}, ("is lost for", "is deaf for", "is lost and deaf for")),
    "F13": ({"F13": 1.5, "F11": 1.0}, ("times slower", "is full", "cannot be read", "hardly room")),
    "F15": (
        {"F15": 0.2},
        (
            *(": refuse", ": quota", ": error", ": unavailable", ": stuck", ": timeout_after"),
            *(": not_found", ": slow_delete", ": seen_again", ": vanish"),
        ),
    ),
    "F16": (
        {"F16": 0.5},
        (
            "stolen token at",
            "stolen token, same server at",
            "replayed renew at",
            "renew signed by another at",
            "replay on",
        ),
    ),
    "F17": (
        {"F17": 0.6},
        (
            "is aborted",
            "is started a second time",
            "is at work: States.Timeout",
            "is at work: States.DataLimitExceeded",
            "States.Timeout of a task although its guest",
            "States.HeartbeatTimeout of a task although its guest",
        ),
    ),
    "F25": (
        {"F25": 6.0},
        ("answer of", "progress of", "heartbeat of", "event of", "out of order of", "rush of"),
    ),
}
"""By class: what is on (stronger than a swarm would draw it), and the words of each form."""


def execute(run: Run) -> list[str]:
    """Run to the end; what was noted of the faults. Nothing may be broken."""
    result = run.execute()
    broken = {name: each.violations for name, each in result.invariants.items() if each.violations}
    assert broken == {}
    assert run.world.fleet.broken == []
    return [each.text for each in run.world.journal]


@pytest.mark.deep
@pytest.mark.parametrize("fault", FORMS)
def test_every_form_strikes_and_nothing_breaks(fault: str) -> None:
    strengths, forms = FORMS[fault]
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        usual = CHANGING if fault in ("F15", "F16", "F17") else BUSY
        workload = msgspec.structs.replace(usual, operations_per_guest_hour=DENSE)
        plan = Plan(guests=8, hours=0.2, seed=seed, workload=workload, faults=strengths)
        for text in execute(Run(plan)):
            seen.update(form for form in forms if form in text)
        if len(seen) == len(forms):
            return
    pytest.fail(f"did not strike: {sorted(set(forms) - set(seen))}")


def test_a_guest_answers_a_token_that_has_timed_out() -> None:
    late = 0
    for seed in SEEDS:
        plan = Plan(guests=4, hours=0.3, seed=seed, workload=CHANGING, faults={"F17": 0.6})
        run = Run(plan)
        succeed = run.world.region.states.succeed

        def answer(token: str, output: str, succeed: object = succeed) -> None:
            nonlocal late
            try:
                assert callable(succeed)
                succeed(token, output)
            except ClientError as error:
                late += error.response["Error"]["Code"] == "TaskTimedOut"
                raise

        run.world.region.states.succeed = answer  # type: ignore[method-assign]
        execute(run)
        if late:
            return
    pytest.fail("no answer came too late")


def test_a_dead_letter_of_a_guest_comes_back_to_the_conductor() -> None:
    plan = Plan(guests=6, hours=0.3, seed=2, workload=BUSY, faults={"F4": 0.5})
    run = Run(plan)
    redriven: Counter[str] = Counter()
    run.world.region.sqs.watchers.append(
        lambda queue, message: redriven.update([queue] if "redrives" in message.attributes else [])
    )
    execute(run)
    assert redriven["coffer-conductor"] > 0
    assert redriven["coffer-taskmanager"] > 0


def test_a_class_says_which_of_its_forms_no_run_exercises() -> None:
    lacking = [name for name, kind in REGISTRY.items() if kind.missing]
    assert lacking == ["F4", "F12", "F14", "F18", "F19", "F22", "F23", "F26"]
