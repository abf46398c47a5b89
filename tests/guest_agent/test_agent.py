"""The agent in virtual time: when it reports, renews, extends, backs off and retires."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from chalicelib.bus.contract import RELEASE
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.agent import Agent
from guest_agent.clock import ServiceClock
from guest_agent.config import AgentFile, GuestConfig
from guest_agent.enrolment import Enrolment, Reply, Session
from guest_agent.errors import Leaving
from guest_agent.queues import VISIBILITY_SECONDS
from tests.guest_agent.backups.test_archiver import ARCHIVE, Logged
from tests.guest_agent.fakes import (
    INSTANCE,
    FakeManager,
    MemoryQueues,
    MemoryStore,
    World,
    command,
    opened,
    sealed,
    session,
)
from tests.guest_agent.test_dispatch import PREPARE


class MemoryIdentity:
    """An identity that signs with nothing."""

    public_key = bytes(32)

    def __init__(self) -> None:
        self.generation = 0

    def sign(self, message: bytes) -> bytes:
        return b"signature"

    def enrolled_generation(self) -> int:
        return self.generation

    def remember_accepted(self, generation: int, issued_at_ms: int) -> None:
        self.generation = generation

    def next_issue(self, now_ms: int) -> int:
        return now_ms


class Guest:
    """An agent whose control plane answers `status`."""

    def __init__(self, world: World, manager: FakeManager | None = None) -> None:
        self.world = world
        self.queues = MemoryQueues()
        self.manager = manager or FakeManager()
        self.asked: list[str] = []
        self.on_ask: Callable[[], None] = lambda: None
        self.status = 200
        self.retry_after: str | None = None
        self.life = 3600.0
        self.key_version = 1
        self.other_keys: dict[int, str] = {}
        file = AgentFile(INSTANCE, 1, "https://control", "token", "mariadb", "10.11", "r")
        config = GuestConfig(None, file, "server", "127.0.0.1")  # type: ignore[arg-type]
        clock = ServiceClock()
        self.agent = Agent(
            file,
            enrolment=Enrolment(config, MemoryIdentity(), self._post, clock),
            queues=self.queues,
            store=MemoryStore(),
            manager=self.manager,
            clock=clock,
        )

    def _post(self, url: str, document: dict[str, Any]) -> Reply:
        self.asked.append(url.rsplit("/", 1)[1])
        self.on_ask()
        made: Session = session(life=self.life, key_version=self.key_version)
        made = msgspec.structs.replace(made, other_keys=self.other_keys)
        return Reply(self.status, msgspec.json.encode(made), retry_after=self.retry_after)

    def pulses(self, seconds: int) -> list[str]:
        said = []
        for _ in range(seconds):
            said += self.agent.pulse()
            self.world.now += 1.0
        return said

    def statuses(self) -> list[str]:
        return [(opened(beat).result or {})["status"] for beat in self.queues.beats]


@pytest.fixture
def guest(world: World) -> Guest:
    made = Guest(world)
    assert made.agent.begin() == "Enrolled as generation 1, epoch 1."
    return made


def test_it_reports_once_in_a_period(guest: Guest) -> None:
    guest.pulses(90)
    assert guest.statuses() == ["healthy"] * 3
    beats = [opened(beat) for beat in guest.queues.beats]
    assert [beat.seq for beat in beats] == sorted({beat.seq for beat in beats})
    assert beats[0].result == {
        "status": "healthy",
        "reason": "",
        "volume": {"used": 0.5, "total": 1.0},
        "rejected": 0,
        "release": RELEASE,
    }


def test_it_reports_a_change_at_once(guest: Guest) -> None:
    guest.pulses(2)
    guest.manager.now_is = Status.CRASHED
    assert guest.pulses(1) == ["The datastore is crashed."]
    assert guest.statuses() == ["healthy", "crashed"]


def test_the_end_of_a_command_wakes_the_pulse(guest: Guest) -> None:
    assert not guest.agent.woken.is_set()
    guest.queues.put(sealed(command("prepare", PREPARE)))
    guest.agent.tick()
    assert not guest.agent.woken.is_set()
    guest.world.run_spawned()
    assert guest.agent.woken.is_set()


def test_rejected_messages_are_counted_in_the_heartbeat(guest: Guest) -> None:
    guest.queues.put("noise")
    guest.agent.tick()
    guest.pulses(1)
    assert (opened(guest.queues.beats[0]).result or {})["rejected"] == 1


def test_a_message_under_a_newer_key_is_answered_at_once(guest: Guest) -> None:
    """The first command after a rotation: its key is asked for while it is in the hand."""
    guest.pulses(60)
    guest.key_version = 2
    guest.queues.put(sealed(command("list_databases", key_version=2)))
    guest.agent.tick()
    assert guest.asked == ["enrol", "renew"]
    assert len(guest.queues.reports()) == 1
    assert not guest.queues.hidden


def test_a_message_whose_key_did_not_come_is_read_once_it_has(guest: Guest) -> None:
    rotated = sealed(command("list_databases", key_version=2, expires_at=guest.world.now + 90))
    guest.queues.put(rotated)
    guest.agent.tick()
    assert guest.queues.hidden == [("receipt-1", VISIBILITY_SECONDS)]
    assert not guest.queues.reports()
    guest.key_version = 2
    guest.pulses(31)
    guest.queues.put(rotated)
    guest.agent.tick()
    assert len(guest.queues.reports()) == 1


def test_a_guest_that_is_superseded_learns_it_when_it_asks_for_a_key(guest: Guest) -> None:
    guest.status = 410
    guest.queues.put(sealed(command("list_databases", key_version=2)))
    guest.agent.tick()
    assert guest.agent.retired == "This generation is superseded or the instance is gone."
    assert not guest.manager.effects


def test_a_key_version_that_a_renewal_does_not_bring_is_a_forgery(guest: Guest) -> None:
    forged = sealed(command("list_databases", key_version=3), key=bytes(32))
    guest.pulses(60)
    for _ in range(100):
        guest.queues.put(forged)
        guest.agent.tick()
        guest.pulses(20)
    assert 1800 / 60 <= len(guest.asked) <= 1 + 2000 / 30
    assert (opened(guest.queues.beats[-1]).result or {})["rejected"] >= 1


@pytest.mark.parametrize("version", [0, 4, 2**40])
def test_a_key_version_that_cannot_exist_is_rejected_at_once(guest: Guest, version: int) -> None:
    guest.pulses(60)
    guest.queues.put(sealed(command("list_databases", key_version=version), key=bytes(32)))
    guest.agent.tick()
    guest.pulses(60)
    assert guest.asked == ["enrol"]
    assert (opened(guest.queues.beats[-1]).result or {})["rejected"] == 1


def test_a_command_under_a_newer_key_waits_while_no_key_can_be_had(guest: Guest) -> None:
    life = guest.world.now + 900
    rotated = sealed(command("list_databases", key_version=2, expires_at=life))
    guest.pulses(60)
    guest.status = 503
    for _ in range(60):
        guest.queues.put(rotated)
        guest.agent.tick()
        guest.pulses(3)
    assert len(guest.queues.hidden) == 60
    assert 4 <= len(guest.asked) <= 14
    guest.status, guest.key_version = 200, 2
    guest.pulses(60)
    guest.queues.put(rotated)
    guest.agent.tick()
    assert len(guest.queues.reports()) == 1


def test_commands_of_other_versions_are_opened_with_the_keys_it_was_given(guest: Guest) -> None:
    guest.other_keys = {1: session().keys.to_guest, 3: session().keys.to_guest}
    guest.key_version = 2
    guest.pulses(1801)
    for version in (1, 2, 3):
        life = guest.world.now + 60
        changes: dict[str, Any] = {"key_version": version, "expires_at": life, "id": f"c{version}"}
        guest.queues.put(sealed(command("list_databases", **changes)))
        guest.agent.tick()
    assert len(guest.queues.reports()) == 3


def test_a_heartbeat_that_fails_is_tried_again_without_hurry(guest: Guest) -> None:
    guest.queues.broken = True
    said = guest.pulses(120)
    assert said == ["The heartbeat was not sent: The queue is out of reach."] * 6
    guest.queues.broken = False
    guest.pulses(30)
    assert guest.statuses() == ["healthy"]


def test_it_renews_at_half_of_the_credentials_life(guest: Guest) -> None:
    guest.pulses(1799)
    assert guest.asked == ["enrol"]
    said = guest.pulses(3)
    assert "Credentials were renewed." in said
    guest.pulses(30)
    assert guest.asked == ["enrol", "renew"]


def test_a_failed_renewal_is_repeated_and_stops_nothing(guest: Guest) -> None:
    guest.pulses(1799)
    guest.status = 503
    guest.pulses(90)
    assert 3 <= guest.asked.count("renew") <= 7
    assert guest.statuses()[-1] == "healthy"
    guest.status = 200
    assert "Credentials were renewed." in guest.pulses(31)


def test_a_renewal_that_is_to_wait_waits_whoever_wants_it(guest: Guest) -> None:
    """The pulse, a queue that denies, and a command under a key that is not there yet."""
    guest.status, guest.retry_after = 413, "45"
    guest.pulses(1799)
    guest.pulses(10)
    assert guest.asked == ["enrol", "renew"]
    guest.status, guest.retry_after = 200, None
    guest.queues.put(sealed(command("list_databases", key_version=3), key=bytes(32)))
    for _ in range(30):
        guest.agent.tick()
        guest.pulses(1)
    assert guest.asked == ["enrol", "renew"]
    assert "Credentials were renewed." in guest.pulses(10)
    assert guest.statuses()[-1] == "healthy"


def test_a_superseded_guest_takes_no_more_commands(guest: Guest) -> None:
    guest.status = 410
    guest.pulses(1900)
    assert guest.agent.retired == "This generation is superseded or the instance is gone."
    beats = len(guest.queues.beats)
    guest.queues.put(sealed(command("list_users")))
    guest.agent.tick()
    guest.pulses(100)
    assert not guest.manager.effects
    assert len(guest.queues.beats) == beats


def test_a_running_command_is_kept_hidden_every_eight_seconds(guest: Guest) -> None:
    guest.queues.put(sealed(command("prepare", PREPARE)))
    guest.agent.tick()
    guest.pulses(60)
    assert len(guest.queues.hidden) == 8
    assert {seconds for _, seconds in guest.queues.hidden} == {20}


def test_an_unreachable_queue_is_asked_less_and_less_often(guest: Guest) -> None:
    guest.queues.broken = True
    for _ in range(12):
        said = guest.agent.tick()
        assert said.startswith("The queue is out of reach. The queue is asked again after")
    assert guest.world.slept == sorted(guest.world.slept)
    assert guest.world.slept[-1] <= 30.0
    guest.queues.broken = False
    assert guest.agent.tick() == "Nothing to do."


def test_every_tick_ends_in_a_sentence(guest: Guest) -> None:
    guest.queues.put(sealed(command("list_users")))
    assert guest.agent.tick() == "list_users (command-1) is done."
    assert guest.agent.tick() == "Nothing to do."


@pytest.mark.parametrize("trial", [None, object()])
def test_a_process_is_on_trial_whose_release_has_not_proved_itself(
    guest: Guest, trial: object
) -> None:
    """One that keeps no releases never is."""
    assert not guest.agent.on_trial
    guest.manager.releases = SimpleNamespace(trial=trial)  # type: ignore[assignment]
    assert guest.agent.on_trial == (trial is not None)


def test_an_agent_that_is_to_leave_begins_to_send_no_more_log(world: World) -> None:
    """With each round longer than a round's time the next one was always due: it never left."""
    guest = Guest(world, Logged())
    guest.agent.begin()
    guest.agent._archiver.want(ARCHIVE)
    guest.pulses(1)
    assert guest.agent.busy, "a round is under way"
    guest.manager.fails = Leaving("Another release is to run.")
    guest.queues.put(sealed(command("list_users")))
    guest.agent.tick()
    world.now += ARCHIVE.every_seconds
    assert guest.agent.leaving is None
    world.run_spawned()
    guest.pulses(1)
    assert guest.agent.leaving == "Another release is to run."
