"""Each deliberate bug is noticed by a named invariant within its bound of seeds.

The plans alone break nothing: what is noticed is the bug. Those that need many seeds are marked
`crash`, beside the exhaustive tests.
"""

from __future__ import annotations

import sys

import pytest

from simulator.invariants import REGISTRY as INVARIANTS
from tests.saboteurs import hunt as hunting
from tests.saboteurs import table
from tests.saboteurs.hunt import broken, hunt
from tests.saboteurs.plans import PLANS
from tests.saboteurs.registry import Instead, Patch
from tests.saboteurs.saboteurs import SABOTEURS, Saboteur
from tests.saboteurs.table import PAGE

LEAST = 20
QUICK: tuple[str, ...] = (
    "no lease",
    "a compensation forgotten",
    "quota released before the end",
    "a list of everything",
    "answers stored twice",
    "an agent without memory",
    "clocks instead of sequences",
    "any guests seal",
    "the first of a batch",
    "the refused server taken for the enrolled",
    "a delete that could be undone",
    "a hold that outlives its instance",
    "a size that was only asked for",
)
"""In `make test-deep`; the others are in `make test-crash`."""


def test_there_are_enough_of_them() -> None:
    assert len(SABOTEURS) >= LEAST
    assert {each.name for each in SABOTEURS} >= set(QUICK)
    assert {each.plan for each in SABOTEURS} <= set(PLANS)
    assert all(each.sentence.endswith(".") for each in SABOTEURS)


def test_the_page_has_each_of_them_with_its_plan() -> None:
    """A whole hunt writes it; whoever adds one writes its line."""
    lines = PAGE.read_text().splitlines()
    for each in SABOTEURS:
        told = f"| {each.name} | {each.sentence} | {each.plan} |"
        assert any(line.startswith(told) for line in lines), each.name
    told_plans = set(lines[lines.index("## Plans") :])
    assert set(table._plans().splitlines()[3:]) <= told_plans


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=lambda each: each.name)
def test_a_saboteur_finds_what_it_breaks(
    saboteur: Saboteur, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it patches is there, and called as the bug is: most run in the slow tier only."""
    saboteur.apply(Patch(monkeypatch))


def test_a_bug_that_does_not_fit_its_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    patch = Patch(monkeypatch)
    with pytest.raises(TypeError, match="place of broken"):
        patch.setattr(hunting, "broken", lambda _: {})
    with pytest.raises(TypeError, match="place of broken"):
        patch.setattr(sys.modules[__name__], "hunting", Instead(hunting, broken=lambda _: {}))
    with pytest.raises(KeyError):
        patch.setitem(PLANS, "no such plan", PLANS["calm"])


def test_every_invariant_that_is_reached_has_a_bug_that_it_should_notice() -> None:
    reached = {name for name, kind in INVARIANTS.items() if not kind.unreachable}
    noticing = frozenset[str]().union(*(each.noticed_by for each in SABOTEURS))
    assert noticing == reached - {"L9"} | {"F19"}


@pytest.mark.deep
@pytest.mark.parametrize("plan", ["calm", "contents"])
def test_a_plan_without_a_saboteur_breaks_nothing(plan: str) -> None:
    assert broken(plan, 1) == {}


@pytest.mark.crash
@pytest.mark.parametrize("plan", list(PLANS))
def test_no_plan_breaks_anything_by_itself(plan: str) -> None:
    for seed in range(1, 6):
        assert broken(plan, seed) == {}, f"seed {seed}"


def _noticed(saboteur: Saboteur) -> None:
    catch = hunt(saboteur)
    assert catch is not None, f"{saboteur.name} has survived {saboteur.seeds} seeds"
    assert saboteur.noticed_by & set(catch.invariants), catch


@pytest.mark.deep
@pytest.mark.parametrize(
    "saboteur", [each for each in SABOTEURS if each.name in QUICK], ids=lambda each: each.name
)
def test_a_saboteur_is_noticed(saboteur: Saboteur) -> None:
    _noticed(saboteur)


@pytest.mark.crash
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "saboteur", [each for each in SABOTEURS if each.name not in QUICK], ids=lambda each: each.name
)
def test_every_other_saboteur_is_noticed(saboteur: Saboteur) -> None:
    _noticed(saboteur)
