"""docs/simulator/README.md says what the code says: options, keys, faults, invariants, results."""

from __future__ import annotations

import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from infra.cli import simulate, swarm
from simulator import result
from simulator.actions import ACTIONS
from simulator.extremes import EXTREMES
from simulator.faults import REGISTRY as FAULTS
from simulator.invariants import REGISTRY as INVARIANTS
from simulator.mix import USUAL_MIX
from simulator.plan import Outage, Plan
from simulator.swarm import Outcome

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs/simulator/README.md").read_text()
QUOTED = re.compile(r"`([^`]+)`")


def section(title: str) -> str:
    """The text below a heading, up to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith("|---") and not following.startswith("|---"):
            cells = line.replace(r"\|", "/").strip("|").split("|")
            yield [cell.strip() for cell in cells]


def fields(struct: type[msgspec.Struct]) -> set[str]:
    """The names of a struct's members."""
    return {field.name for field in msgspec.structs.fields(struct)}


def described(text: str) -> dict[str, str]:
    """What the first cells of a table name, each with its whole row."""
    return {name: " | ".join(cells) for cells in rows(text) for name in QUOTED.findall(cells[0])}


# --------------------------------------------------------------------------- the JSON document


def test_every_field_of_the_result_is_described_and_no_other() -> None:
    names = set(described(section("The JSON document")))
    assert {name.partition(".")[0] for name in names} == fields(result.Result)
    series = {name.partition(".")[2] for name in names if name.startswith("series.")}
    assert series == fields(result.Series)


@pytest.mark.parametrize(
    ("name", "struct"),
    [
        ("operations", result.ActionResult),
        ("faults", result.FaultResult),
        ("invariants", result.InvariantResult),
        ("invariants", result.ViolationResult),
        ("cost", result.Cost),
        ("errors", result.ErrorResult),
        ("shortest", result.Shortest),
        ("series.faults", result.FaultLane),
    ],
)
def test_what_is_inside_of_a_field_is_described(name: str, struct: type[msgspec.Struct]) -> None:
    words = set(QUOTED.findall(described(section("The JSON document"))[name]))
    assert fields(struct) <= words


def test_the_documents_of_a_swarm_are_described() -> None:
    words = set(QUOTED.findall(described(section("Many seeds"))["--json FILE"]))
    assert fields(Outcome) <= words


# ------------------------------------------------------------------------------ what is given


def test_every_key_of_a_scenario_is_described_with_its_default() -> None:
    usual = msgspec.to_builtins(Plan())
    usual |= {f"workload.{name}": value for name, value in usual.pop("workload").items()}
    told = described(section("Scenario files"))
    assert usual.keys() - told.keys() == {"scenario"}
    for name in told.keys() & usual.keys():
        default = told[name].split(" | ")[1]
        if isinstance(usual[name], bool | int | float):
            assert tomllib.loads(f"value = {default}")["value"] == usual[name]


def test_the_example_is_a_scenario() -> None:
    text = PAGE.partition("```toml\n")[2].partition("```")[0]
    plan = msgspec.convert(tomllib.loads(text), Plan)
    assert plan.outages == [Outage("dynamodb", 30.0, 12.0)]
    assert plan.faults
    assert plan.workload.mix


def test_every_action_is_described_with_its_usual_weight() -> None:
    weights: dict[str, float] = {}
    for names, numbers in rows(section("Actions")):
        found = [name for name in QUOTED.findall(names) if name in ACTIONS]
        given = [float(number) for number in numbers.split(",")]
        weights |= dict(zip(found, given * len(found) if len(given) == 1 else given, strict=True))
    assert weights == USUAL_MIX


def test_every_option_is_described() -> None:
    for command, title in ((simulate.command, "Running it"), (swarm.command, "Many seeds")):
        told = set(re.findall(r"--[a-z-]+", section(title)))
        for name in inspect.signature(command).parameters:
            option = f"--{name.removesuffix('_file').replace('_', '-')}"
            assert name == "scenario" or option in told | {"--listed"}, option


# ---------------------------------------------------------------------------- what is checked


def test_every_fault_and_every_invariant_is_described() -> None:
    faults = [cells[0] for cells in rows(section("Faults"))]
    assert faults == [f"{id_} {fault.title}" for id_, fault in FAULTS.items()]
    told = [(id_, title) for id_, title, _ in rows(section("What must hold"))]
    assert told == [(id_, each.title) for id_, each in INVARIANTS.items()]


def test_each_command_names_a_scenario_that_is_there() -> None:
    commands = re.findall(r"^(?:\$ )?coffer (?:simulate|swarm) .*$", PAGE, re.MULTILINE)
    assert len(commands) >= 10
    for line in commands:
        name = shlex.split(line.removeprefix("$ ").partition(" |")[0])[2]
        there = (REPOSITORY / "simulator/scenarios" / f"{name}.toml").exists()
        assert there or name == "my.toml" or name.startswith("--"), line


def test_every_extreme_is_described_in_its_own_words() -> None:
    told = {cells[0].strip("`"): cells[1] for cells in rows(section("Extremes"))}
    words = {name: (each.__doc__ or "").rstrip(".") for name, each in EXTREMES.items()}
    assert told == {name: said[0].lower() + said[1:] for name, said in words.items()}
