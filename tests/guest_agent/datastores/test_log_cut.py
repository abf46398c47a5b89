"""Where MariaDB's log is cut for a moment: by the archiver's rounds, then by the times in it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from guest_agent.datastores.log import ArchivedPiece, Target
from guest_agent.datastores.mariadb import replay
from guest_agent.datastores.mariadb.binlog import Place
from guest_agent.datastores.mariadb.replay import At, Files
from guest_agent.datastores.mariadb.server import MariaDBServer
from guest_agent.errors import GuestError
from tests.guest_agent.datastores.conftest import config

GTID, XID, DESCRIPTION, ROTATE = 162, 16, 15, 4


def event(kind: int, seconds: int = 0, body: bytes = b"body") -> bytes:
    return struct.pack("<IBIIIH", seconds, kind, 1, 19 + len(body), 0, 0) + body


def gtid(seconds: int) -> bytes:
    """Of a transaction whose number is its time."""
    return event(GTID, seconds, struct.pack("<QIB", seconds, 0, 0))


HEAD: Final = b"\xfebin" + event(DESCRIPTION, body=bytes(60))


def committed(*seconds: int) -> bytes:
    return b"".join(gtid(each) + event(XID, each) for each in seconds)


ONE: Final = len(committed(1))


class Log:
    """Pieces of one file, one after another."""

    def __init__(self, file: int = 7, offset: int = 0) -> None:
        self.file, self.offset = file, offset

    def piece(self, content: bytes, until_s: int = 0) -> ArchivedPiece:
        start = Place(self.file, self.offset)
        given = (HEAD if self.offset else b"") + content
        self.offset += len(content)
        end = Place(self.file, self.offset)
        chunks = (given[at : at + 5] for at in range(0, len(given), 5))
        told = f"0-1-{until_s}" if until_s else ""
        return ArchivedPiece(str(start), str(end), until_s * 1000, chunks, told)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(MariaDBServer(config(tmp_path), "/volume"), tmp_path)


def kept(files: Files, target_s: float, since: Place, *pieces: ArchivedPiece) -> list[int]:
    """The seconds of what is left behind a copy."""
    target = Target(int(target_s * 1000))
    return left(files, since, replay._lay_moment(files, since, iter(pieces), target))


def up_to(files: Files, position: str, since: Place, *pieces: ArchivedPiece) -> list[int]:
    """The same of what is left up to a transaction."""
    target = Target(0, position)
    return left(files, since, replay._lay_transaction(files, since, iter(pieces), target))


def left(files: Files, since: Place, end: At | None) -> list[int]:
    start = files.where(since)
    files.cut(start, end)
    return [group.seconds for _, group in files.groups(start)]


def test_all_of_the_moments_own_second_stays(files: Files) -> None:
    log = Log()
    pieces = log.piece(HEAD + committed(10, 11, 11, 12), 12), log.piece(committed(13), 20)
    assert kept(files, 11.3, Place(7, len(HEAD)), *pieces) == [10, 11, 11]


def test_times_that_are_made_up_count_in_their_own_round_only(files: Files) -> None:
    """A far future ends no replay to a later moment; a far past is not before an earlier one."""
    log = Log()
    rounds = (
        log.piece(HEAD + committed(10, 2_000_000_000), 60),
        log.piece(committed(61, 62), 120),
        log.piece(committed(121, 125), 180),
        log.piece(committed(1, 181), 240),
    )
    expected = [10, 2_000_000_000, 61, 62, 121, 125]
    assert kept(files, 150, Place(7, len(HEAD)), *rounds) == expected


def test_a_round_is_one_however_many_pieces_it_has(files: Files) -> None:
    """Those before its last tell what the round before has told, or nothing."""
    log = Log()
    pieces = (
        log.piece(HEAD + committed(10), 60),
        log.piece(committed(61, 95), 60),
        log.piece(committed(96), 0),
        log.piece(committed(98), 120),
    )
    assert kept(files, 90, Place(7, len(HEAD)), *pieces) == [10, 61]


def test_what_begins_within_a_file_is_read_by_its_head(files: Files) -> None:
    log = Log(offset=1000)
    pieces = log.piece(committed(10, 11), 11), log.piece(committed(12), 12)
    assert kept(files, 20, Place(7, 1000 + ONE), *pieces) == [11, 12]


def test_what_a_death_has_torn_is_left_out(files: Files) -> None:
    """In a file that another one follows; what does not end in it is a replica's to take back."""
    torn = committed(11) + event(XID, 12)[:-1]
    pieces = Log(7).piece(HEAD + torn), Log(8).piece(HEAD + committed(13), 20)
    first = Place(7, len(HEAD))
    assert kept(files, 30, first, *pieces) == [11, 13]
    assert files.all[0].path.stat().st_size == len(HEAD) + ONE


def test_a_copy_that_ends_with_a_file_goes_on_in_the_next(files: Files) -> None:
    assert kept(files, 30, Place(6, 4711), Log(7).piece(HEAD + committed(10), 20)) == [10]


def test_a_copy_that_was_made_while_a_round_was_sent_begins_in_the_middle_of_an_event(
    files: Files,
) -> None:
    """A piece ends wherever it is full."""
    log, content = Log(offset=1000), committed(10, 11, 12)
    pieces = log.piece(content[7:], 12), log.piece(committed(13), 13)
    assert kept(files, 20, Place(7, 1000 + ONE - 7), *pieces) == [11, 12, 13]


def test_a_transaction_is_the_last_one_that_stays(files: Files) -> None:
    def pieces() -> Iterator[ArchivedPiece]:
        log, content = Log(7), HEAD + committed(10, 12, 11)
        yield log.piece(content[:-5], 0)
        yield log.piece(content[-5:], 12)
        yield Log(8).piece(HEAD + committed(13, 14), 14)

    since = Place(7, len(HEAD))
    for number, expected in ((10, [10]), (12, [10, 12]), (11, [10, 12, 11]), (14, None)):
        files.all.clear()
        for path in files._folder.iterdir():
            path.unlink()
        found = up_to(files, f"0-1-{number}", since, *pieces())
        assert found == (expected or [10, 12, 11, 13, 14])


def test_what_was_sent_while_a_copy_was_made_is_read_over_for_a_transaction(files: Files) -> None:
    log = Log(7)
    pieces = (
        log.piece(HEAD + committed(10), 10),
        log.piece(committed(11), 11),
        log.piece(committed(12, 13), 13),
    )
    assert up_to(files, "0-1-12", Place(7, len(HEAD) + 2 * ONE), *pieces) == [12]


def test_no_more_pieces_are_read_than_a_transaction_needs(files: Files) -> None:
    log = Log(7)
    pieces = iter([log.piece(HEAD + committed(10), 10), log.piece(committed(11), 11)])
    later = log.piece(committed(12), 12)
    given = chain(pieces, iter([later]))
    since = Place(7, len(HEAD))
    assert replay._lay_transaction(files, since, given, Target(0, "0-1-10")) is not None
    assert list(given) == [later]


@pytest.mark.parametrize("position", ["0-1-13", "1-1-10", "0-2-10"])
def test_a_transaction_that_is_not_there_is_not_taken_for_another(
    files: Files, position: str
) -> None:
    piece = Log(7).piece(HEAD + committed(10, 11), 12)
    with pytest.raises(GuestError, match="does not reach"):
        up_to(files, position, Place(7, len(HEAD)), piece)


def test_a_transaction_of_which_half_may_be_there_is_none(files: Files) -> None:
    """The last piece is not the end of a round: there was more of it."""
    log = Log(7)
    pieces = log.piece(HEAD + committed(10), 10), log.piece(committed(11)[:-5], 0)
    with pytest.raises(GuestError, match="does not reach"):
        up_to(files, "0-1-11", Place(7, len(HEAD)), *pieces)


def test_a_transaction_is_whole_that_a_round_has_ended_with_whatever_file_ends_then(
    files: Files,
) -> None:
    """A head may be the rest of a file, of a round that was not sent to its end."""
    log = Log(7)
    pieces = log.piece(HEAD + committed(10), 10), log.piece(event(ROTATE), 0)
    assert up_to(files, "0-1-10", Place(7, len(HEAD)), *pieces) == [10]


@pytest.mark.parametrize("since", [Place(7, 999), Place(7, 2000), Place(5, 4), Place(8, 4)])
def test_a_copy_that_the_log_does_not_continue_is_refused(files: Files, since: Place) -> None:
    files.lay(Log(7, offset=1000).piece(committed(10)))
    with pytest.raises(GuestError, match="does not go on where the backup has ended"):
        files.where(since)


def test_pieces_that_leave_something_out_are_refused(files: Files) -> None:
    files.lay(Log(7, offset=1000).piece(committed(10)))
    with pytest.raises(GuestError, match="do not go on"):
        files.lay(Log(7, offset=1000 + ONE + 1).piece(committed(11)))


def test_a_place_is_where_it_was_in_the_file(files: Files) -> None:
    end = files.lay(Log(7, offset=1000).piece(committed(10)))
    assert end == At(0, len(HEAD) + ONE)
    assert files.where(Place(7, 1000)) == At(0, len(HEAD))
