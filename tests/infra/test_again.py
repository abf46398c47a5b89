"""The command that gives a run again: made into a plan, it is the same one."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec
import pytest

from infra.cli import again
from simulator.plan import (
    Outage,
    Plan,
    Workload,
    compact,
    drawn,
    load_scenario,
    parsed,
    with_options,
    write,
)

CHAOS = drawn(with_options(load_scenario("chaos"), guests=3, hours=0.1, seed=7))
"""A seed that carries nothing to an extreme: what an extreme changes, options do not say."""


def changed(**changes: object) -> Plan:
    return msgspec.structs.replace(CHAOS, **changes)


@pytest.mark.parametrize(
    ("plan", "ends"),
    [
        (CHAOS, "coffer simulate chaos --guests 3 --hours 0.1 --seed 7"),
        (changed(faults={"F1": 0.25}), "--seed 7 --faults F1=0.25"),
        (changed(faults={}), "--seed 7 --faults none"),
    ],
)
def test_options_where_they_say_it_all(plan: Plan, ends: str) -> None:
    assert again.command(plan, ["chaos"]).endswith(ends)


def test_a_swarm_of_another_scenario_is_said_to_be_one() -> None:
    plan = drawn(with_options(load_scenario("smoke"), seed=5, faults="swarm"))
    assert again.command(plan, ["smoke"]).endswith("--faults swarm")


@pytest.mark.parametrize(
    "plan",
    [
        changed(empty_at_end=False),
        changed(workload=Workload(mix={"delete": 1.0})),
        changed(outages=[Outage("sqs", 1.0, 2.0)]),
    ],
)
def test_the_plan_itself_where_they_do_not(plan: Plan) -> None:
    words = shlex.split(again.command(plan, ["chaos"], "--verify"))
    assert words[0] == "echo"
    assert words[2:] == ["|", "coffer", "simulate", "--replay", "-", "--verify"]
    assert parsed(words[1].encode(), "stdin") == msgspec.structs.replace(plan, title="")


def test_a_file_is_named_where_one_was_replayed(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    write(CHAOS, file)
    assert str(file) in again.command(CHAOS, ["--replay", str(file)])


def test_what_came_on_stdin_is_given_again() -> None:
    assert again.command(CHAOS, ["--replay", "-"]).startswith("echo ")


def test_a_plan_is_short_when_it_is_usual() -> None:
    assert compact(Plan(guests=3)) == '{"guests":3}'
