"""A customer writes faster than a heartbeat comes, and the agent, as a process, keeps the engine
from its end."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

import pytest

from guest_agent.datastores import guard
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.conftest import Guest
from tests.guest_agent.datastores.customer import ENGINES, PASSWORD, Engine, first_start
from tests.guest_agent.datastores.volumes import needs_root, resize, small
from tests.guest_agent.datastores.writers import (
    WRITERS,
    PutOut,
    Refused,
    Writer,
    write_until_refused,
)

pytestmark = [pytest.mark.database, needs_root]

PAUSE_SECONDS: Final = 0.02
"""50 MiB a second at most: faster than a heartbeat by far, and half a second from the first look
that finds little room to the last byte."""
USERS: Final = {"redis": "default"}
BLOCKED: Final = ("blocked", guard.CLOSED)
BRIEFLY: Final = ("repaired", guard.BRIEFLY)
"""A Redis that gives up a rewrite of its log has room again at once, before anybody was told."""
OPENED: Final = ("repaired", guard.OPENED)


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.manager)
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def filled(engine: Engine, make_guest: Callable[..., Guest]) -> Iterator[Guest]:
    """A guest on a small volume, with its agent's process."""
    made = make_guest(datastore_manager=engine.manager, datastore_version=engine.version)
    with small(made.server.volume, engine.volume_mib):
        prepare = made.control.send(made.control.command("prepare", first_start(engine)))
        made.server.start_agent()
        assert made.control.answer(prepare).error is None
        yield made
        made.server.kill_everything()


@pytest.fixture
def writer(engine: Engine, filled: Guest) -> Iterator[Writer]:
    """A customer of it."""
    user = USERS.get(engine.manager, "alice")
    made = WRITERS[engine.manager](filled.server.address, user, PASSWORD, "shop")
    with closing(made):
        made.make()
        yield made


def write_until_full(writer: Writer) -> int:
    """How many rows were written."""
    for rows in itertools.count():
        try:
            writer.write()
        except (Refused, PutOut):
            return rows
    raise AssertionError


def test_a_fast_writer_is_refused_in_the_engines_words_and_the_engine_lives(
    engine: Engine, filled: Guest, writer: Writer
) -> None:
    pid = filled.server.database()
    wrote = write_until_refused(writer, lambda said: writer.SAYS in said, PAUSE_SECONDS)
    assert writer.rows() == wrote.rows > 0
    wait_for(lambda: {BLOCKED, BRIEFLY} & set(filled.events()))
    assert filled.server.database() == pid
    resize(filled.server.volume, engine.volume_mib * 2)
    wait_for(lambda: filled.statuses()[-1] == "healthy")
    writer.write()
    assert writer.rows() == wrote.rows + 1
    wait_for(lambda: (BLOCKED in filled.events()) == (OPENED in filled.events()))


def test_an_engine_that_found_no_room_at_all_comes_back_in_the_reserve(
    filled: Guest, writer: Writer
) -> None:
    """Nobody looks at the volume, as on a machine that gives the agent no processor."""
    agent = filled.server.agent
    assert agent is not None
    os.kill(agent.pid, signal.SIGSTOP)
    rows = write_until_full(writer)
    os.kill(agent.pid, signal.SIGCONT)
    rows += write_until_refused(writer, lambda said: writer.SAYS in said).rows
    assert writer.rows() in {rows, rows + 1}, "the last one may be there, and not have been told"
