"""The agent of a moment of work, put together of what its guest remembers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from chalicelib.bus.contract import RELEASE
from guest_agent.agent import Agent
from guest_agent.config import GuestConfig
from guest_agent.enrolment import Enrolment, Session
from simulator.fleet import objects, older
from simulator.fleet.disk import SimIdentity, SimJournal, key_of
from simulator.fleet.queues import SimPost, SimQueues
from simulator.fleet.releases import SimReleases
from simulator.fleet.surroundings import Surroundings

if TYPE_CHECKING:
    from simulator.fleet.guest import Guest

_ROOT: Final = Path("/")


def made(guest: Guest, around: Surroundings) -> Agent:
    """The shipped agent of this life of a guest, on simulated parts."""
    assert guest.agent_file is not None, "a server without user data runs no agent"
    file, life = guest.agent_file, guest.life
    queues = SimQueues(guest, life, file.region, file.aws_endpoint_url)
    if guest.memory.session is not None:
        queues.resume(guest.memory.session)
    manager = around.manager(guest, life, around.perform)
    manager.releases = SimReleases(guest, life, guest.runs, around.perform)
    enrolment = _LateEnrolment(guest, around)
    manager.open_store = objects.opener(guest, life, enrolment)
    manager.list_pieces = enrolment.pieces
    agent = Agent(
        file,
        enrolment=enrolment,
        queues=queues,
        store=SimJournal(guest, life, around.perform),
        manager=manager,
        clock=guest.clock,
        memory=guest.memory,
    )
    if guest.disk.release < RELEASE:
        agent._heartbeat = older.heartbeat_of(
            guest.disk.release, manager, queues, guest.clock, guest.memory
        )
    return agent


def enrolment_of(guest: Guest, around: Surroundings) -> Enrolment:
    """What talks to the control plane for the agent of this life of a guest."""
    file, life = guest.agent_file, guest.life
    assert file is not None
    return Enrolment(
        GuestConfig(_ROOT, file, guest.server_id, guest.address),
        SimIdentity(guest, life, key_of(around.kernel.seed, guest.server_id, guest.disk)),
        SimPost(guest, life, around.region, file.control_url),
        guest.clock,
    )


class _LateEnrolment(Enrolment):
    """An enrolment that is put together when it is used, for most moments need none."""

    def __init__(self, guest: Guest, around: Surroundings) -> None:
        self._guest, self._around = guest, around

    def begin(self) -> Session:
        return self._whole().begin()

    def renew(self, *, start: bool) -> Session:
        return self._whole().renew(start=start)

    def storage(self, backup_id: str, attempt: str | None = None) -> bytes:
        return self._whole().storage(backup_id, attempt)

    def pieces(self, archive_id: str, behind: str) -> bytes:
        return self._whole().pieces(archive_id, behind)

    def _whole(self) -> Enrolment:
        return enrolment_of(self._guest, self._around)
