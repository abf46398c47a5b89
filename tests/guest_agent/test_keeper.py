"""A dead database is started again, with growing pauses, a bound, and an event for each death."""

from __future__ import annotations

from itertools import pairwise

import pytest

from chalicelib.service_status import ServiceStatus as Status
from guest_agent.keeper import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    STARTS,
    STEADY_SECONDS,
    pause_before,
)
from tests.guest_agent.fakes import World
from tests.guest_agent.test_agent import Guest


def events(guest: Guest) -> list[tuple[str, str]]:
    told = [report.result or {} for report in guest.queues.reports("event")]
    return [(each["kind"], each["text"]) for each in told]


def live(guest: Guest, seconds: float) -> None:
    """Pulses, and what they set going, each second."""
    for _ in range(int(seconds)):
        guest.pulses(1)
        guest.world.run_spawned()


@pytest.fixture
def guest(world: World) -> Guest:
    made = Guest(world)
    made.agent.begin()
    return made


def test_a_dead_database_is_started_again_after_a_pause(guest: Guest) -> None:
    guest.manager.now_is, guest.manager.reason = Status.CRASHED, "the database was ended by SIGKILL"
    live(guest, FIRST_PAUSE_SECONDS + 1)
    assert guest.manager.starts == 1
    guest.manager.now_is, guest.manager.reason = Status.HEALTHY, ""
    live(guest, 1)
    assert events(guest) == [
        ("crashed", "the database was ended by SIGKILL"),
        ("healthy", "the database answers again"),
    ]


def test_damage_is_told_once_and_again_when_it_is_another(guest: Guest) -> None:
    for reason in ("", "page 1", "page 1", "page 2", ""):
        guest.manager.reason, guest.manager.damaged = reason, bool(reason)
        live(guest, 2)
    assert events(guest) == [("damaged", "page 1"), ("damaged", "page 2")]
    assert guest.manager.starts == 0


def test_a_control_plane_that_hangs_holds_no_start_back(guest: Guest) -> None:
    """A pulse may wait for it until the bound of a call; the database does not wait with it."""
    guest.world.now += guest.life / 2 - FIRST_PAUSE_SECONDS
    guest.manager.now_is = Status.CRASHED
    guest.agent.pulse()
    guest.world.now += FIRST_PAUSE_SECONDS
    started_before: list[int] = []

    def hang() -> None:
        guest.world.run_spawned()
        started_before.append(guest.manager.starts)

    guest.on_ask = hang
    guest.agent.pulse()
    assert guest.asked == ["enrol", "renew"]
    assert started_before == [1]


def test_a_stopped_database_is_left_alone(guest: Guest) -> None:
    guest.manager.now_is = Status.SHUTDOWN
    live(guest, 600)
    assert guest.manager.starts == 0
    assert events(guest) == []


def test_a_stop_takes_back_the_start_that_was_due(guest: Guest) -> None:
    """Else its time stays in the past, and a simulated guest wakes for it without end."""
    guest.manager.now_is = Status.CRASHED
    live(guest, 1)
    guest.manager.now_is = Status.SHUTDOWN
    live(guest, FIRST_PAUSE_SECONDS)
    guest.manager.now_is = Status.CRASHED
    live(guest, 1)
    assert guest.manager.starts == 0


def test_a_crash_loop_ends_in_a_state_that_is_told(guest: Guest) -> None:
    guest.manager.now_is, guest.manager.reason = Status.CRASHED, "it ends at once"
    live(guest, sum(pause_before(n) for n in range(STARTS + 1)) + 3 * STARTS)
    assert guest.manager.starts == STARTS
    assert guest.manager.given_up
    assert [kind for kind, _ in events(guest)] == ["crashed"] * (STARTS + 1) + ["failed"]
    live(guest, 600)
    assert guest.manager.starts == STARTS


def test_what_lived_long_enough_begins_with_the_first_pause_again(guest: Guest) -> None:
    for _ in range(2 * STARTS):
        guest.manager.now_is = Status.CRASHED
        live(guest, FIRST_PAUSE_SECONDS + 1)
        guest.manager.now_is = Status.HEALTHY
        live(guest, STEADY_SECONDS + 1)
    assert guest.manager.starts == 2 * STARTS
    assert not guest.manager.given_up


def test_what_did_not_live_long_enough_is_given_up_in_the_end(guest: Guest) -> None:
    for start in range(STARTS):
        guest.manager.now_is = Status.CRASHED
        live(guest, pause_before(start) + 1)
        assert guest.manager.starts == start + 1
        guest.manager.now_is = Status.HEALTHY
        live(guest, STEADY_SECONDS - 1)
    guest.manager.now_is = Status.CRASHED
    live(guest, 1)
    assert guest.manager.given_up


def test_pauses_double_and_are_bounded() -> None:
    pauses = [pause_before(starts) for starts in range(20)]
    assert pauses[0] == FIRST_PAUSE_SECONDS
    assert all(min(2 * a, LONGEST_PAUSE_SECONDS) == b for a, b in pairwise(pauses))
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
