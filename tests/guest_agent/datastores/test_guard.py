"""What is told of a full volume: that no writes are taken, then that they are, or both at once."""

from __future__ import annotations

import pytest

from guest_agent.datastores.guard import BRIEFLY, CLOSED, OPENED, Guard
from guest_agent.storage.room import MIB, Room

FULL = Room(10 * MIB, 40 * MIB, 40 * MIB, 24 * MIB)
EMPTY = FULL._replace(free=900 * MIB)


class Database:
    """One that takes writes, or none, on a volume with so much room."""

    def __init__(self) -> None:
        self.room = self
        self.now = EMPTY
        self.closed = False
        self.reads = False
        """What it is to take, also from who does not ask it."""

    def look(self) -> Room:
        return self.now

    def keep(self, room: Room) -> None:
        """There is a reserve always."""

    def let_go(self) -> bool:
        return False

    def refuses_writes(self, session: None) -> bool:
        return self.closed

    def refuse_writes(self, session: None) -> None:
        self.closed = True

    def refuse_unasked(self) -> None:
        self.closed = self.reads

    def take_writes(self, session: None) -> None:
        self.closed = False


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.mark.parametrize("reported", [True, False])
def test_that_it_takes_writes_again_is_told_after_that_it_took_none_or_with_it(
    database: Database, reported: bool
) -> None:
    guard: Guard[None] = Guard()
    for _ in range(2):
        assert guard.look(database, None) is None
        database.now = FULL
        assert guard.look(database, None) == CLOSED
        if reported:
            guard.reported()
        assert guard.said() == ()
        database.now = EMPTY
        assert guard.look(database, None) is None
        assert guard.said() == ((OPENED,) if reported else (BRIEFLY,))
        assert guard.said() == ()


def test_what_an_agent_of_before_has_told_is_not_told_as_new(database: Database) -> None:
    database.closed = True
    guard: Guard[None] = Guard()
    assert guard.look(database, None) is None
    assert guard.said() == (OPENED,)


def test_that_it_could_not_be_asked_meanwhile_makes_no_other_trouble(database: Database) -> None:
    guard: Guard[None] = Guard()
    guard.look(database, None)
    database.now = FULL
    guard.look(database, None)
    guard.reported()
    guard.make_way(database)
    assert guard.look(database, None) == CLOSED
    database.now = EMPTY
    guard.look(database, None)
    assert guard.said() == (OPENED,)


def test_one_that_cannot_be_asked_reads_that_it_takes_no_writes(database: Database) -> None:
    guard: Guard[None] = Guard()
    database.reads = True
    closed = []
    for database.now in (EMPTY, FULL):
        guard.make_way(database)
        closed.append(database.closed)
    assert closed == [False, True]
    assert guard.look(database, None) == CLOSED
