"""Which pieces of a log are replayed: found among whatever else lies there, within a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

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


def log(target_ms: int = 10_000, **changes: Any) -> LogToReplay:
    made = LogToReplay("a", "t/log/a", 1, 5, SUMS[-1], "0/1", target_ms, SUMS[0])
    return replace(made, **changes)


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


@pytest.mark.parametrize("head", [{}, {"number": 7, "sha256": "e" * 64}], ids=["true", "false"])
def test_what_was_committed_later_is_left_out_whatever_it_says(head: dict[str, Any]) -> None:
    """Before the last piece the log rested, and what is in that says to be as old as it likes."""
    rested = [*OURS[:4], OURS[4]._replace(from_ms=60_000, until_ms=60_999)]
    listed = listing(list(map(str, rested)))
    for target_ms, last in ((30_000, 4), (60_000, 4), (60_001, 5)):
        found = replaying.wanted(log(target_ms, **head), listed, aws.event())
        assert found == rested[1:last]


def test_one_that_is_missing_is_told_with_its_number() -> None:
    with pytest.raises(Damaged, match="piece 3 is not in the store"):
        replaying.wanted(log(), listing([str(OURS[1]), *map(str, OURS[3:])]), aws.event())


def test_a_head_that_was_never_sent_takes_no_moment_before_it() -> None:
    """Whoever has stolen a guest tells any head, and writes what it likes behind the last piece."""
    theirs = OURS[-1]._replace(number=6, before=SUMS[-1][:16], sha256="f" * 64)
    for number in (6, 7, 10**12 - 1):
        for there in (OURS, [*OURS, theirs]):
            stolen = log(4500, number=number, sha256="e" * 64)
            found = replaying.wanted(stolen, listing(list(map(str, there))), aws.event())
            assert found == OURS[1:4]
    with pytest.raises(Damaged, match=r"piece 6 is not .* goes to 1970-01-01T00:00:05.999Z"):
        replaying.wanted(log(number=6, sha256="e" * 64), listing(list(map(str, OURS))), aws.event())


def test_a_rest_of_the_log_is_known_to_its_head_alone_and_the_end_of_its_last_piece_is_not() -> (
    None
):
    """What the refusal names can be restored, and has the same data."""
    listed, never_sent = listing(list(map(str, OURS))), {"number": 6, "sha256": "e" * 64}
    assert replaying.wanted(log(500_000), listed, aws.event()) == OURS[1:]
    with pytest.raises(Damaged, match=r"piece 6 is not .* goes to 1970-01-01T00:00:05.999Z"):
        replaying.wanted(log(500_000, **never_sent), listed, aws.event())
    assert replaying.wanted(log(5_999, **never_sent), listed, aws.event()) == OURS[1:]


def test_for_a_position_all_pieces_are_found_whatever_times_they_tell() -> None:
    """Which of them has it only the engine can tell; a head that is not there hides none."""
    listed, wanted = listing(list(map(str, OURS))), {"target_position": "0/1"}
    assert replaying.wanted(log(2500, **wanted), listed, aws.event()) == OURS[1:]
    stolen = log(2500, number=6, sha256="e" * 64, **wanted)
    assert replaying.wanted(stolen, listed, aws.event()) == OURS[1:]
    lost = listing([*map(str, OURS[:3]), str(OURS[4])])
    assert replaying.wanted(log(2500, **wanted), lost, aws.event()) == OURS[1:3]
    with pytest.raises(Damaged, match="piece 2 is not in the store"):
        replaying.wanted(log(2500, **wanted), listing([]), aws.event())


@pytest.mark.parametrize("kept", [SUMS[0], None], ids=["with its sum", "of an older agent"])
def test_a_piece_that_is_lost_takes_no_moment_before_it(kept: str | None) -> None:
    there = [*map(str, OURS[:3]), str(OURS[4])]
    found = replaying.wanted(log(2500, behind_sha256=kept), listing(there), aws.event())
    assert found == OURS[1:2]
    with pytest.raises(Damaged, match="piece 4 is not in the store"):
        replaying.wanted(log(4500, behind_sha256=kept), listing(there), aws.event())


def test_without_a_head_nobody_chooses_between_two_pieces() -> None:
    """One of them may be of a volume that was put back: its moments had other data."""
    other = OURS[2]._replace(sha256="d" * 64, until_ms=9000)
    there = [*map(str, OURS[:4]), str(other)]
    assert replaying.wanted(log(2500), listing(there), aws.event()) == OURS[1:2]
    with pytest.raises(Damaged, match="piece 3 cannot be told from others"):
        replaying.wanted(log(3500), listing(there), aws.event())


def test_what_does_not_go_on_from_the_backup_is_not_replayed_behind_it() -> None:
    listed = listing(list(map(str, OURS)))
    with pytest.raises(Damaged, match="piece 2 cannot be told from others"):
        replaying.wanted(log(behind_sha256="c" * 64), listed, aws.event())
    unlike = OURS[0]._replace(before="c" * 16)
    begins, listed = log(behind=0, behind_sha256=None), listing([str(unlike), *map(str, OURS[1:])])
    with pytest.raises(Damaged, match="piece 1 cannot"):
        replaying.wanted(begins, listed, aws.event())


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
