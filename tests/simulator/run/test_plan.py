"""Plans: scenarios, options, swarms, files."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from simulator.extremes import EXTREMES
from simulator.faults import REGISTRY
from simulator.plan import (
    Plan,
    PlanError,
    Workload,
    checked,
    compact,
    drawn,
    load_scenario,
    parsed,
    read,
    scenarios,
    with_faults,
    with_options,
    write,
)


def test_every_scenario_that_comes_along_can_be_read_and_has_a_title() -> None:
    found = scenarios()
    assert {"smoke", "chaos", "storm", "idle", "crash", "poison", "cloud"} <= set(found)
    assert all(found.values())


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = drawn(with_options(load_scenario("chaos"), guests=7, hours=0.5, seed=9))
    write(plan, tmp_path / "plan.json")
    assert read(tmp_path / "plan.json") == plan


def test_a_plan_survives_being_one_line() -> None:
    plan = drawn(with_options(load_scenario("chaos"), guests=7, hours=0.5, seed=9))
    line = compact(plan)
    assert "\n" not in line
    assert parsed(line.encode(), "a line") == msgspec.structs.replace(plan, title="")


def test_a_line_that_is_no_plan_is_refused() -> None:
    with pytest.raises(PlanError, match="a line cannot be read"):
        parsed(b"guests", "a line")


def test_a_swarm_depends_on_the_seed_alone() -> None:
    chaos = load_scenario("chaos")
    first, again = drawn(chaos), drawn(chaos)
    other = drawn(with_options(chaos, seed=2))
    assert first == again
    assert first.faults != other.faults


@pytest.mark.parametrize("seed", range(30))
def test_a_swarm_draws_classes_within_their_ranges(seed: int) -> None:
    for name, strength in drawn(with_options(load_scenario("chaos"), seed=seed)).faults.items():
        low, high = REGISTRY[name].range
        assert low <= strength <= high


def test_all_classes_of_the_contract_are_listed() -> None:
    assert list(REGISTRY) == [f"F{number}" for number in range(1, 28)]


def test_faults_of_a_command_line() -> None:
    assert with_faults(Plan(), "F1=0.2,F2").faults == {"F1": 0.2, "F2": 0.5}
    assert with_faults(Plan(faults={"F1": 0.1}), "none").faults == {}
    assert with_faults(Plan(), "swarm").swarm


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("F99", "There is no fault 'F99'"),
        ("F1=much", "is not a strength"),
        ("F1=0.9", "F1 must be within 0 and 0.5"),
        ("F1=0.1,F1=0.2", "given twice"),
        ("none,F1", '"none", or "swarm", alone'),
    ],
)
def test_faults_that_make_no_sense_are_refused(text: str, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        with_faults(Plan(), text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("guests = 'many'", "Expected `int`"),
        ("guests = 0", "guests must be within"),
        ("gusets = 3", "unknown field `gusets`"),
        ("= 3", "cannot be read"),
        ("settle_seconds = inf", "settle_seconds must be within"),
        ("heartbeat_seconds = 0", "heartbeat_seconds must be at least 1"),
        ("[workload]\noperations_per_guest_hour = nan", "within 0 and 3600, not nan"),
        ("[workload]\noperations_per_guest_hour = 1e12", "within 0 and 3600"),
        ("[workload]\nguests_per_tenant = 0", "guests_per_tenant must be at least 1"),
        ("[workload.mix]\nfly = 1", "'fly' is no action"),
        ("[workload.mix]\ncreate = -1", "weight of create must be positive"),
        ("[workload.mix]\ncreate = inf", "weight of create must be positive"),
        ("[workload.mix]\ncreate = 0", "no action with a weight"),
        ("[workload.schedule]\nkeep_count = 1", "no interval_hours"),
        ("[workload.schedule]\ninterval_hours = 0", "'interval_hours' = 0 is none of"),
        ("[workload.schedule]\ncron = 1", "'cron' = 1 is none of"),
        ("[[outages]]\nservice='sqs'\nat_minutes=-1.0\nminutes=1.0", "an outage needs"),
        ("[[outages]]\nservice='sqs'\nat_minutes=nan\nminutes=1.0", "an outage needs"),
        ("[[outages]]\nservice='sqs'\nat_minutes=1.0\nminutes=0.0", "an outage needs"),
        ("[[outages]]\nservice='x'\nat_minutes=1.0\nminutes=1.0", "'x' is no service"),
    ],
)
def test_a_bad_scenario_is_refused_with_what_to_correct(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(PlanError, match=says):
        load_scenario(str(path))


def test_an_unknown_scenario_is_refused_with_those_that_exist() -> None:
    with pytest.raises(PlanError, match=r"no scenario 'none-such'; there are .*smoke"):
        load_scenario("none-such")


def test_extremes_depend_on_the_seed_alone_and_leave_plans_that_run() -> None:
    seen = set()
    for seed in range(1, 60):
        plan = with_options(load_scenario("chaos"), seed=seed)
        found = drawn(plan)
        assert found == drawn(plan) == drawn(found)
        assert checked(found, "the drawn plan") == found
        seen.add((found.guests, found.workload.guests_per_tenant, found.prepared))
    assert len(seen) > 4


@pytest.mark.parametrize("name", list(EXTREMES))
def test_each_extreme_changes_the_plan(name: str) -> None:
    plan = with_faults(load_scenario("chaos"), "F1=0.1")
    changed = EXTREMES[name](plan, random.Random(1))
    assert changed != plan
    assert checked(changed, name) == changed


def test_a_limit_of_nothing_that_there_is_is_refused() -> None:
    plan = Plan(workload=Workload(limits={"elephants": 1}))
    with pytest.raises(PlanError, match="elephants"):
        checked(plan, "here")
