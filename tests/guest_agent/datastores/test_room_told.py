"""A copy that has failed on a full volume says so, whoever has met its end."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from guest_agent.datastores.copies import room_told
from guest_agent.errors import GuestError
from guest_agent.storage.room import MIB, Room

WITH_ROOM = Room(900 * MIB, 40 * MIB, 40 * MIB, 24 * MIB)
FULL = WITH_ROOM._replace(free=1 * MIB)


def server(room: Room) -> Any:
    return SimpleNamespace(room=SimpleNamespace(look=lambda: room))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_what_the_agent_could_not_write_is_no_riddle(number: int) -> None:
    """Half a file that was removed by then has made room again."""
    with (
        pytest.raises(GuestError, match="the volume is full: no room"),
        room_told(server(WITH_ROOM)),
    ):
        raise OSError(number, "no room")


def test_another_fault_of_the_operating_system_stays_what_it_is() -> None:
    with pytest.raises(PermissionError), room_told(server(FULL)):
        raise PermissionError(errno.EACCES, "denied")


@pytest.mark.parametrize(("room", "told"), [(FULL, "the volume is full: 1"), (WITH_ROOM, "1")])
def test_what_a_tool_says_is_told_with_the_reason(room: Room, told: str) -> None:
    with pytest.raises(GuestError) as raised, room_told(server(room)):
        raise GuestError("1")
    assert str(raised.value) == told
