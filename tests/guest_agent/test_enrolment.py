"""Enrolment and renewal over real HTTP, with the key on a real disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib import aws
from guest_agent.clock import ServiceClock
from guest_agent.config import AgentFile, GuestConfig
from guest_agent.enrolment import Enrolment
from guest_agent.errors import ConfigurationMissing, Retired, Unreachable
from guest_agent.identity import DiskIdentity
from guest_agent.transport import HttpPost
from tests.guest_agent.control_plane import INSTANCE, TOKEN, ControlPlane


class Quick(aws.Provider):
    """Real time, but nobody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []
        self.ahead = 0.0

    def clock(self) -> float:
        return time.time() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def quick() -> Iterator[Quick]:
    made = Quick()
    previous = aws.install(made)
    yield made
    aws.install(previous)


class Guest:
    """An agent's enrolment; `start` is a new process on the same disk."""

    def __init__(self, folder: Path, control_url: str) -> None:
        self.folder = folder
        agent = AgentFile(INSTANCE, 1, control_url, TOKEN, "mariadb", "10.11", "us-east-1")
        self.config = GuestConfig(folder, agent, "server-1", "127.88.0.1")
        self.start()

    def start(self) -> None:
        self.clock = ServiceClock()
        self.identity = DiskIdentity(self.folder)
        self.enrolment = Enrolment(self.config, self.identity, HttpPost(), self.clock)


@pytest.fixture
def guest(tmp_path: Path, control: ControlPlane, quick: Quick) -> Guest:
    return Guest(tmp_path / "coffer", control.url)


def test_a_guest_enrols_once_and_renews_at_every_start(guest: Guest, control: ControlPlane) -> None:
    assert guest.enrolment.begin().epoch == 1
    guest.start()
    assert guest.enrolment.begin().epoch == 2
    assert control.calls == ["enrol", "renew+start"]


def test_the_key_is_on_disk_before_anyone_hears_of_it(guest: Guest, control: ControlPlane) -> None:
    control.refusals = [500] * 1000
    with pytest.raises(Unreachable):
        guest.enrolment.begin()
    kept = guest.identity.public_key
    guest.start()
    assert guest.identity.public_key == kept
    assert (guest.folder / "key.pem").stat().st_mode & 0o777 == 0o600
    assert guest.folder.stat().st_mode & 0o777 == 0o700


def test_an_answer_that_was_lost_is_asked_for_again(guest: Guest, control: ControlPlane) -> None:
    guest.enrolment.begin()
    (guest.folder / "enrolled.json").unlink()
    guest.start()
    guest.enrolment.begin()
    assert control.calls == ["enrol", "enrol"]


def test_with_an_expired_token_the_enrolled_key_is_enough(
    guest: Guest, control: ControlPlane
) -> None:
    guest.enrolment.begin()
    (guest.folder / "enrolled.json").write_bytes(b"torn")
    control.token_valid = False
    guest.start()
    assert guest.enrolment.begin().epoch == 2
    assert control.calls == ["enrol", "enrol", "renew+start"]


def test_it_waits_with_growing_bounded_jittered_delays(
    guest: Guest, control: ControlPlane, quick: Quick
) -> None:
    control.refusals = [503, 429, 500, 404] * 3
    assert guest.enrolment.begin().epoch == 1
    assert len(quick.slept) == 12
    assert quick.slept[0] <= 0.25
    assert all(0.1 < delay <= 30.0 for delay in quick.slept)
    assert quick.slept[-1] >= 15.0


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("86400", 60.0),
        ("Fri, 27 Nov 2026 16:00:00 GMT", 0.0),
        ("-5", 0.0),
        ("nan", 0.0),
        (None, 0.0),
    ],
)
def test_it_waits_as_long_as_it_is_told_and_no_longer_than_a_rate_asks_for(
    guest: Guest, control: ControlPlane, quick: Quick, told: str | None, seconds: float
) -> None:
    control.refusals, control.retry_after = [413], told
    assert guest.enrolment.begin().epoch == 1
    assert len(quick.slept) == 1
    assert seconds < quick.slept[0] <= seconds + 0.25


def test_without_a_control_plane_it_gives_up_in_the_end(tmp_path: Path, quick: Quick) -> None:
    guest = Guest(tmp_path / "coffer", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match="120 attempts"):
        guest.enrolment.begin()
    assert sum(quick.slept) < 3700


@pytest.mark.parametrize("status", [409, 410])
def test_a_guest_without_a_place_is_retired(
    guest: Guest, control: ControlPlane, status: int
) -> None:
    control.refusals = [status]
    with pytest.raises(Retired, match="Another server" if status == 409 else "superseded"):
        guest.enrolment.begin()


def test_a_bad_token_and_no_key_is_the_end(guest: Guest, control: ControlPlane) -> None:
    control.token_valid = False
    with pytest.raises(Retired, match="neither the enrolment token nor"):
        guest.enrolment.begin()


def test_renewals_are_signed_with_a_time_that_grows(guest: Guest, control: ControlPlane) -> None:
    guest.enrolment.begin()
    issued = []
    for _ in range(5):
        guest.enrolment.renew(start=False)
        issued.append(control.issued_at_ms)
    guest.start()
    guest.enrolment.renew(start=False)
    issued.append(control.issued_at_ms)
    assert issued == sorted(set(issued))
    assert control.epoch == 1


def test_a_wrong_clock_is_corrected_from_the_first_answer(
    guest: Guest, control: ControlPlane, quick: Quick
) -> None:
    quick.ahead = 86_400.0
    guest.enrolment.begin()
    guest.enrolment.renew(start=False)
    assert abs(control.issued_at_ms / 1000 - time.time()) < 3600.0  # the clock is a day ahead


@pytest.mark.parametrize("ahead", [86_400.0, -86_400.0])
def test_a_guest_enrols_with_a_wrong_clock(
    guest: Guest, control: ControlPlane, quick: Quick, ahead: float
) -> None:
    """The refusal of the first request tells the time; the next one is signed with it."""
    quick.ahead = ahead
    assert guest.enrolment.begin().epoch == 1
    assert control.calls == ["enrol", "enrol"]


def test_a_time_from_a_wrong_clock_does_not_lock_the_guest_out(
    guest: Guest, control: ControlPlane, quick: Quick
) -> None:
    """The request was signed a day ahead and refused; the next one is not a day ahead again."""
    guest.enrolment.begin()
    guest.start()
    quick.ahead = 86_400.0
    control.refusals = [400]
    guest.enrolment.begin()
    assert abs(control.issued_at_ms / 1000 - time.time()) < 3600.0  # the clock is a day ahead


def test_a_corrected_clock_signs_no_time_that_was_accepted_already(
    guest: Guest, control: ControlPlane, quick: Quick
) -> None:
    """A Date has whole seconds: the corrected clock may lie before the last accepted request."""
    guest.enrolment.begin()
    accepted = control.issued_at_ms
    quick.ahead = 86_400.0
    control.refusals = [400]
    with pytest.raises(Unreachable):
        guest.enrolment.renew(start=False)
    guest.clock.offset -= 1.0  # the worst that the header's resolution allows
    guest.enrolment.renew(start=False)
    assert control.issued_at_ms > accepted


def test_a_request_that_was_seen_before_is_asked_again(
    guest: Guest, control: ControlPlane, quick: Quick
) -> None:
    """It is no verdict on the guest's place, and the next time is later."""
    guest.enrolment.begin()
    control.issued_at_ms += 2
    guest.start()
    assert guest.enrolment.begin().epoch == 2


def test_a_damaged_key_says_what_to_do(guest: Guest) -> None:
    (guest.folder / "key.pem").write_bytes(b"torn")
    with pytest.raises(ConfigurationMissing, match="rebuild the server"):
        guest.start()
