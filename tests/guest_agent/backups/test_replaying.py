"""Which pieces of a log are replayed: found among whatever else lies there, within a bound."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from chalicelib import aws
from chalicelib.bus.contract import pieces
from chalicelib.bus.contract.arguments import LogToReplay
from chalicelib.bus.contract.pieces import NONE, PieceName
from guest_agent.backups import replaying
from guest_agent.backups.store import Cancelled, Damaged, StoreFailed
from guest_agent.errors import Unreachable
from tests.guest_agent.backups.objects import VirtualEvent
from tests.guest_agent.fakes import World

PAGE = 1000
SUMS = [f"{number}" * 64 for number in range(1, 6)]
OURS = [
    PieceName(number, number * 1000, number * 1000 + 999, before[:16], own)
    for number, before, own in zip(range(1, 6), [NONE, *SUMS], SUMS, strict=False)
]


def log(target_ms: int = 10_000) -> LogToReplay:
    return LogToReplay("a", "t/log/a", 1, 5, SUMS[-1], "0/1", target_ms)


def listing(names: list[str]) -> Callable[[str, str], bytes]:
    """As the control plane lists a store that holds these."""
    held = sorted(names)

    def ask(_: str, behind: str) -> bytes:
        left = [name for name in held if name > behind]
        page = left[:PAGE]
        following = page[-1] if len(left) > PAGE else None
        told = [name for name in page if pieces.parsed(name)]
        return msgspec.json.encode({"names": told, "next": following})

    return ask


def test_the_pieces_are_found_among_thousands_of_others() -> None:
    """Those of one number are more than a page, and pages are full of what is no piece."""
    theirs = [str(OURS[2]._replace(sha256=f"{number:064x}")) for number in range(2 * PAGE)]
    junk = [f"{number:012d}.junk.{each}" for number in (2, 3, 9) for each in range(2 * PAGE)]
    found = replaying.wanted(log(), listing([*map(str, OURS), *theirs, *junk]), aws.event())
    assert found == OURS[1:]
    assert replaying.wanted(log(2500), listing(list(map(str, OURS))), aws.event()) == OURS[1:2]


def test_one_that_is_missing_is_told_with_its_number() -> None:
    with pytest.raises(Damaged, match="piece 3 is not in the store"):
        replaying.wanted(log(), listing([str(OURS[1]), *map(str, OURS[3:])]), aws.event())


def test_a_list_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "MOST_PAGES", 5)
    asked: list[str] = []

    def ask(_: str, behind: str) -> bytes:
        asked.append(behind)
        return msgspec.json.encode({"names": [], "next": f"000000000001.~{len(asked)}"})

    with pytest.raises(StoreFailed, match="5 pages of other objects"):
        replaying.wanted(log(), ask, aws.event())
    assert len(asked) == 5
    theirs = [str(OURS[2]._replace(sha256=f"{number:064x}")) for number in range(10)]
    monkeypatch.setattr(replaying, "MOST_PIECES", 9)
    with pytest.raises(StoreFailed, match="more than 9 pieces"):
        replaying.wanted(log(), listing(theirs), aws.event())


def test_a_cancel_ends_the_wait_for_a_control_plane_that_is_away(world: World) -> None:
    stop = VirtualEvent(world)

    def ask(_: str, behind: str) -> bytes:
        stop.set()
        raise Unreachable("It did not answer.")

    with pytest.raises(Cancelled):
        replaying.wanted(log(), ask, stop)
