"""An agent that becomes another release of itself, and the way back, beside a real database."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest
from pymysql.connections import Connection

from chalicelib.bus.envelope import Envelope
from guest_agent.bundle import RELEASES
from guest_agent.releases import CURRENT, FOLDER, Releases
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.conftest import Guest
from tests.support.agent_bundles import DIES, SILENT, SOUND, packed

PROGRAM: Final = (
    "from guest_agent import releases; releases.TRIAL_SECONDS = {seconds}; "
    "releases.MOST_STARTS = 2; "
    "import sys; from guest_agent.__main__ import main; sys.exit(main())"
)
"""The agent of the image, which gives a release on trial so many seconds."""
PATIENT: Final = 60
IMPATIENT: Final = 2


class Machine:
    """A server with its supervisor, and a client that stays connected to its database."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.give(PATIENT)
        guest.prepare()
        self.database = guest.server.database()
        self.client: Connection[Any] = guest.login()
        self._closed = False
        self._supervisor = threading.Thread(target=self._supervise)
        self._supervisor.start()

    def give(self, seconds: int) -> None:
        """How long a release on trial has, from the next start on."""
        self.guest.server.program = ["-c", PROGRAM.format(seconds=seconds)]

    def _supervise(self) -> None:
        while not self._closed:
            agent = self.guest.server.agent
            assert agent is not None
            agent.wait()
            if not self._closed:
                self.guest.server.start_agent()

    def close(self) -> None:
        self._closed = True
        agent = self.guest.server.agent
        assert agent is not None
        agent.kill()
        self._supervisor.join()
        self.client.close()

    @property
    def releases(self) -> Releases:
        return Releases(self.guest.server.root)

    def bundle(self, version: str, breaks: str = SOUND, **changes: Any) -> dict[str, Any]:
        """What asks for a release with that fault in it; its bundle lies where it says."""
        body = packed(version, breaks)
        self.guest.control.files[f"/{version}"] = body
        return {
            "attempt": f"{version} {len(self.guest.control.reports())}",
            "version": version,
            "sha256": hashlib.sha256(body).hexdigest(),
            "size": len(body),
            "url": f"{self.guest.control.url}/{version}",
            **changes,
        }

    def upgrade(self, asked: dict[str, Any]) -> Envelope:
        return self.guest.control.ask("upgrade_agent", asked)

    def versions(self) -> list[str]:
        """What the heartbeats said of the agent's version, as often as it changed."""
        told = [beat.result or {} for beat in self.guest.control.reports("heartbeats")]
        versions = [each.get("version", "") for each in told]
        return [each for at, each in enumerate(versions) if not at or versions[at - 1] != each]

    def require_undisturbed(self) -> None:
        """The database is the one that it was, and the client has noticed nothing."""
        assert self.guest.server.database() == self.database
        with self.client.cursor() as cursor:
            cursor.execute("select 1")
            assert cursor.fetchall() == ((1,),)
        assert self.guest.ask("list_databases")["databases"]


@pytest.fixture
def machine(guest: Guest) -> Iterator[Machine]:
    made = Machine(guest)
    yield made
    made.close()


def fault_of(answer: Envelope) -> str:
    assert answer.error is not None, answer.result
    return answer.error.message


def test_an_agent_goes_on_as_another_release_and_back_from_those_that_are_broken(
    machine: Machine,
) -> None:
    server = machine.guest.server
    wrong = machine.bundle("1.0.1+wrong", sha256="0" * 64)
    assert "was to have 000" in fault_of(machine.upgrade(wrong))
    assert machine.releases.newest() is None
    assert not (server.root / FOLDER / RELEASES / "1.0.1+wrong").exists()

    good = machine.bundle("1.0.1+good")
    answer = machine.upgrade(good)
    assert answer.error is None, answer.error
    assert machine.versions() == ["", "1.0.1+good"]
    machine.require_undisturbed()

    for version, breaks, seconds, how in (
        ("1.0.2+dies", DIES, PATIENT, "was started 2 times, and ended by itself"),
        ("1.0.2+silent", SILENT, IMPATIENT, f"did not report within {IMPATIENT} s"),
    ):
        machine.give(seconds)
        assert how in fault_of(machine.upgrade(machine.bundle(version, breaks)))
        assert machine.versions() == ["", "1.0.1+good"]
        machine.require_undisturbed()

    machine.give(PATIENT)
    # Killed where it is, a sound one is started again and stays.
    agent = server.agent
    assert agent is not None
    command = machine.guest.control.command("upgrade_agent", machine.bundle("1.0.3"))
    machine.guest.control.send(command)
    wait_for((server.root / FOLDER / RELEASES / "1.0.3").exists)
    epoch = machine.guest.control.epoch
    agent.kill()
    wait_for(lambda: machine.guest.control.epoch > epoch)
    machine.guest.control.queues["guest"].show_all()
    answer = machine.guest.control.answer(command.id)
    assert answer.error is None, answer.error
    assert machine.versions() == ["", "1.0.1+good", "1.0.3"]
    machine.require_undisturbed()
    # The one of before is there to go back to, and no other.
    kept = {each.name for each in (server.root / FOLDER / RELEASES).iterdir()}
    assert kept == {"1.0.1+good", "1.0.3"}
    assert (server.root / FOLDER / CURRENT).readlink().name == "1.0.3"
    # As a server that is switched off and on.
    heard = len(machine.guest.control.reports("heartbeats"))
    for pid in server.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(machine.guest.control.reports("heartbeats")) > heard)
    assert machine.versions()[-1] == "1.0.3"


def test_a_bundle_that_cannot_be_fetched_or_installed_changes_nothing(machine: Machine) -> None:
    asked = machine.bundle("1.0.1")
    assert "the answer was 404" in fault_of(machine.upgrade(asked | {"url": asked["url"] + "x"}))
    assert "does not hold release 1.0.2" in fault_of(machine.upgrade(asked | {"version": "1.0.2"}))
    assert "arguments do not fit" in fault_of(machine.upgrade(asked | {"version": "../1"}))
    assert machine.versions() == [""]
    machine.require_undisturbed()
