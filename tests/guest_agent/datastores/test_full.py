"""A volume that is really full, on each engine: no writes before it is, and a start when it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pg8000
import pytest

from chalicelib.service_status import ServiceStatus as Status
from guest_agent.datastores import guard
from guest_agent.storage import room
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.customer import (
    ENGINES,
    Engine,
    Guest,
    Refused,
    guest_on,
    server_of,
)
from tests.guest_agent.datastores.volumes import MIB, fill, needs_root, resize, small
from tests.guest_agent.server import Server

pytestmark = [pytest.mark.database, needs_root]


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.manager)
def guest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    """A guest whose volume has a file system of its own."""
    engine: Engine = request.param
    with server_of(engine) as server:
        monkeypatch.setenv("COFFER_SERVER_ID", server.id)
        with small(server.volume, engine.volume_mib), guest_on(engine, server, Guest) as made:
            yield made


POSTGRESQL: Final = ENGINES[1]
REFUSALS: Final = {"mariadb": "read-only", "postgresql": "read-only", "redis": "NOREPLICAS"}


def test_no_writes_before_it_is_full_and_writes_again_when_it_is_larger(guest: Guest) -> None:
    assert guest.status() is Status.HEALTHY
    reserve = guest.server.volume / room.RESERVE
    assert reserve.exists()
    guest.write()
    found = room.OnVolume(guest.server.volume).look()
    assert found is not None
    filler = fill(guest.server.volume, leave=found.low - MIB)
    told = guest.manager.condition()
    assert (told.status, told.reason) == (Status.BLOCKED, guard.CLOSED)
    with pytest.raises(Refused, match=REFUSALS[guest.engine.manager]):
        guest.write()
    assert guest.rows() == 1, "it can be read"
    assert reserve.exists()

    guest.renew_agent()
    guest.manager.start_up()
    assert guest.status() is Status.BLOCKED

    filler.unlink()
    fill(guest.server.volume, leave=found.low + MIB)
    assert guest.status() is Status.BLOCKED, "there is hardly more room"
    resize(guest.server.volume, guest.engine.volume_mib * 2)
    assert guest.manager.condition().notices == (guard.OPENED,)
    assert guest.status() is Status.HEALTHY
    guest.write()
    assert guest.rows() == 2


def test_one_that_comes_back_by_itself_takes_no_writes_before_its_agent_asks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All sessions of a PostgreSQL end when one of its processes is killed, and customers are back
    at once: on a volume that they have filled by then no session of the agent's begins."""
    with server_of(POSTGRESQL) as server, small(server.volume, POSTGRESQL.volume_mib):
        monkeypatch.setenv("COFFER_SERVER_ID", server.id)
        with guest_on(POSTGRESQL, server, Guest) as guest:
            assert guest.status() is Status.HEALTHY
            found = room.OnVolume(server.volume).look()
            assert found is not None
            fill(server.volume, leave=found.low - MIB)
            killed = children(server)[0]
            os.kill(killed, signal.SIGKILL)
            wait_for(lambda: killed not in children(server) and answers(guest))
            guest.manager.watch()
            wait_for(lambda: guest.ask("SHOW default_transaction_read_only") == "on")
            assert guest.status() is Status.BLOCKED


def children(server: Server) -> list[int]:
    """The processes that the database has started."""
    pid = server.database()
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def answers(guest: Guest) -> bool:
    with suppress(Refused, pg8000.exceptions.Error):
        return bool(guest.ask("SELECT 1"))
    return False


def test_one_that_filled_up_and_died_comes_back_in_the_reserve(guest: Guest) -> None:
    assert guest.status() is Status.HEALTHY
    guest.write()
    guest.kill()
    filler = fill(guest.server.volume)
    assert guard.FULL in guest.manager.condition().reason
    guest.manager.start_again()
    assert not (guest.server.volume / room.RESERVE).exists()
    assert guest.status() is Status.BLOCKED
    assert guest.rows() == 1
    with pytest.raises(Refused):
        guest.write()
    filler.unlink()
    assert guest.status() is Status.HEALTHY
    assert (guest.server.volume / room.RESERVE).exists()
    guest.write()
