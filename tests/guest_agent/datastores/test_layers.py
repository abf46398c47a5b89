"""What an engine is told of what is wanted, and what it says of that."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.engines.parameter import Kind, Parameter, Scalar
from guest_agent.datastores import layers
from guest_agent.errors import BadRequest

KNOWN = {
    "live": Parameter("live", Kind.INTEGER, 1),
    "late": Parameter("late", Kind.INTEGER, 1, restart_required=True),
}


class Engine:
    """Holds what it is told, in steps."""

    def __init__(self, step: int = 1, **holds: Scalar) -> None:
        self.holds, self.step = dict(holds), step
        self.told: list[Any] = []

    def change(self, values: Any) -> None:
        self.told.append(values)
        self.holds |= {name: value // self.step * self.step for name, value in values.items()}

    def apply(self, **wanted: Scalar) -> bool:
        return layers.apply(KNOWN, wanted, lambda: self.holds, self.change)


def test_only_what_differs_is_told_and_what_needs_a_start_is_not() -> None:
    engine = Engine(live=1, late=1)
    assert not engine.apply(live=1, late=1)
    assert engine.told == []
    assert engine.apply(live=2, late=2)
    assert engine.told == [{"live": 2}]
    assert engine.apply(live=2, late=2), "as long as it holds the other"
    engine.holds["late"] = 2
    assert not engine.apply(live=2, late=2)
    assert engine.told == [{"live": 2}]


def test_what_an_engine_rounds_is_refused_with_what_it_holds() -> None:
    with pytest.raises(BadRequest, match="the database holds 10 for live, not 15"):
        Engine(step=10, live=0, late=1).apply(live=15, late=1)


def test_a_parameter_that_an_older_minor_has_not_cannot_be_chosen() -> None:
    for values, name in (({"live": 2, "late": 1}, "live"), ({"live": 1, "late": 2}, "late")):
        with pytest.raises(BadRequest, match=f"does not know {name}"):
            layers.apply(KNOWN, values, dict, lambda _: None)
    assert not layers.apply(KNOWN, {"live": 1, "late": 1}, dict, lambda _: None)


def test_an_engine_of_which_nothing_may_be_set_is_asked_nothing() -> None:
    def asked(*_: object) -> Any:
        raise AssertionError

    assert not layers.apply({}, {}, asked, asked)
