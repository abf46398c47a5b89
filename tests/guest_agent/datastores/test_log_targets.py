"""What of a log its target needs, and what a copy tells of its place in it; without a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from guest_agent.datastores.log import ArchivedPiece, Target
from guest_agent.datastores.mariadb import copies
from guest_agent.datastores.postgresql import replay
from guest_agent.errors import GuestError

ENDS: Final = ("0/2000000", "0/2500000", "0/3000000")


def pieces() -> Iterator[ArchivedPiece]:
    start = "0/1800000"
    for end in ENDS:
        yield ArchivedPiece(f"1:{start}", f"1:{end}", 0, iter(()))
        start = end


@pytest.mark.parametrize(
    ("position", "needed"),
    [("0/1FFFFFF", 1), ("0/2000000", 1), ("0/2000001", 2), ("0/2500000", 2), ("0/3000000", 3)],
)
def test_no_more_pieces_are_read_than_reach_a_position(position: str, needed: int) -> None:
    given = pieces()
    found = list(replay._up_to(given, position))
    assert (len(found), len(list(given))) == (needed, len(ENDS) - needed)


@pytest.mark.parametrize("count", [0, 3])
def test_a_position_that_no_piece_reaches_is_none(count: int) -> None:
    given = [each for each, _ in zip(pieces(), range(count), strict=False)]
    with pytest.raises(GuestError, match="does not reach 0/3000001"):
        list(replay._up_to(given, "0/3000001"))


def test_what_begins_at_a_position_is_not_in_and_what_is_of_the_moment_is() -> None:
    """A place behind a commit is where the next record begins."""
    assert replay._told(Target(5, "0/3000060")) == {
        "recovery_target_lsn": "0/3000060",
        "recovery_target_inclusive": "off",
    }
    assert replay._told(Target(1500)) == {
        "recovery_target_time": "1970-01-01 00:00:01.500+00:00",
        "recovery_target_inclusive": "on",
    }


@pytest.mark.parametrize(
    ("gtid", "told"),
    [
        (", GTID of the last change '0-1-42'", "0-1-42"),
        (", GTID of the last change '0-1-42,1-1-7'", ""),
        (", GTID of the last change ''", ""),
        ("", ""),
    ],
)
def test_a_copy_tells_a_transaction_where_the_log_has_one_order(
    tmp_path: Path, gtid: str, told: str
) -> None:
    line = f"binlog_pos = filename 'binlog.000007', position '4711'{gtid}"
    (tmp_path / "xtrabackup_info").write_text(f"tool_name = mariadb-backup\n{line}\nformat = x\n")
    assert copies._logged(tmp_path) == ("binlog.000007:4711", told)


def test_a_copy_of_a_server_without_a_log_tells_no_place(tmp_path: Path) -> None:
    assert copies._logged(tmp_path) == ("", "")
