"""The timeline of an instance: what it folds, and what it shows around a moment."""

from __future__ import annotations

from typing import Any, cast

import pytest

from simulator.invariants.hub import Hub, OnBroken, OnWrite, Violation
from simulator.timeline import LINES_AFTER, MOST_ENTRIES, MOST_LINES, Timeline

ID = "5a0c3e1e-94b5-4f7e-8d6f-4a4f5d0b7c11"
OTHER = "0badc0de-0000-4000-a000-000000000000"
OPERATION = "77777777-0000-4000-a000-000000000000"


class FakeHub:
    """The part of a hub that a timeline uses."""

    def __init__(self) -> None:
        self.now = 0.0
        self.tenants: dict[str, str] = {}
        self.writes: dict[str, OnWrite] = {}
        self.told: list[OnBroken] = []

    def on_write(self, table: str, function: OnWrite) -> None:
        self.writes[table] = function

    def on_broken(self, function: OnBroken) -> None:
        self.told.append(function)

    def ignored(self, *_: object) -> None:
        """What the tests have none of."""

    on_effect = on_closed = on_reply = ignored


class Life:
    """Writes rows of one instance, a second after each other."""

    def __init__(self) -> None:
        self.hub = FakeHub()
        self.timeline = Timeline(cast(Hub, self.hub))
        self.timeline.watch()
        self.row: dict[str, Any] = {"id": OPERATION, "instance_id": ID, "status": "ACCEPTED"}
        self.hub.writes["operations"](None, self.row)

    def write(self, **changes: Any) -> None:
        self.hub.now += 1.0
        old, self.row = self.row, {**self.row, **changes}
        self.hub.writes["operations"](old, self.row)

    def lease(self, times: int) -> None:
        for number in range(times):
            self.write(lease_id=f"lease-{number}")
            self.write(lease_id=None)

    def lines(self, around: float | None = None) -> list[str]:
        return self.timeline.of(ID, around)


@pytest.fixture
def life() -> Life:
    return Life()


def test_a_lease_that_is_renewed_again_and_again_is_one_line(life: Life) -> None:
    life.lease(3)
    life.write(status="RUNNING")
    life.lease(1)
    assert [line[13:] for line in life.lines()] == [
        "operation 7777   made: ACCEPTED",
        "operation 7777   its lease was taken or given back 6 times, until +6.000",
        "operation 7777   status ACCEPTED → RUNNING",
        "operation 7777   its lease was taken or given back 2 times, until +9.000",
    ]


def test_a_lease_that_goes_to_another_worker_is_a_line_of_its_own(life: Life) -> None:
    life.write(lease_id="first")
    life.write(lease_id="second")
    life.write(lease_id=None)
    assert [line[30:] for line in life.lines()[1:]] == [
        "lease_id - → first",
        "lease_id first → second",
        "lease_id second → -",
    ]


def test_folding_keeps_what_happened_before(life: Life) -> None:
    life.lease(MOST_ENTRIES)
    assert "made: ACCEPTED" in life.lines()[0]


def test_around_a_moment_it_shows_what_led_to_it_and_a_little_after(life: Life) -> None:
    for number in range(300):
        life.write(step=number)
    shown = life.lines(around=200.0)
    assert shown[0] == "(101 earlier events)"
    assert shown[-1] == "(80 later events)"
    assert len(shown) == MOST_LINES + 2
    assert f"{200 + LINES_AFTER - 1}" in shown[-2]


def test_a_violation_stands_in_the_life_of_its_instance(life: Life) -> None:
    life.write(status="RUNNING")
    for told in life.hub.told:
        told(Violation("I3", life.hub.now, "two live operations", ID))
        told(Violation("I5", life.hub.now, "counted twice"))  # of the one that was just changed
        told(Violation("L5", life.hub.now + 60.0, "nobody's"))
    assert [line[13:15] for line in life.lines()[-2:]] == ["I3", "I5"]


def test_an_instance_is_the_latest_only_just_after(life: Life) -> None:
    life.timeline.note(OTHER, "F5", "died", 10.0)
    assert life.timeline.latest(0.5) == ID
    assert life.timeline.latest(9.0) is None
    assert life.timeline.latest(10.0) == OTHER


def test_a_delete_of_what_is_not_there_is_no_event(life: Life) -> None:
    life.hub.writes["guests"](None, None)
    assert len(life.lines()) == 1
