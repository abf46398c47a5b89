"""From the names of an archive's pieces to the log behind a backup, each piece once and checked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from typing import Final

import msgspec

from chalicelib import aws
from chalicelib.bus.contract import answers
from chalicelib.bus.contract import pieces as names
from chalicelib.bus.contract.arguments import LogToReplay
from chalicelib.bus.contract.pieces import PieceName
from guest_agent.backups import pieces
from guest_agent.backups.asking import Words, asked
from guest_agent.backups.store import Damaged, Store, StoreFailed
from guest_agent.datastores.log import ArchivedPiece
from guest_agent.manager import ListPieces, Progress

MOST_PIECES: Final = 1_000_000
"""Behind one backup: two years of one a minute."""
MOST_PAGES: Final = 2_000
"""Of a list, each of up to 1,000 names: whatever else lies there is read over."""


class Listed(msgspec.Struct, frozen=True):
    """A page of names of pieces; `next` is what to ask for then, None at the end."""

    names: list[str]
    next: str | None


def wanted(log: LogToReplay, ask: ListPieces, stop: aws.Event) -> list[PieceName]:
    """The pieces behind a backup that lead to the head, in order, as far as the moment needs them;
    where none do, those that alone go on from the backup up to the moment. For a position all:
    which of them has that only the engine can tell.

    Raises `StoreFailed`, or `Damaged` where one is missing.
    """
    if log.number == log.behind:
        return []
    listed = list(_listed(log, ask, stop))
    found = list(names.leading_to(listed, log.behind, log.number, log.sha256 or ""))
    if len(found) != log.number - log.behind or not found[-1].goes_on(_begins_at(log)):
        return _without_head(log, listed)
    found.reverse()
    return _needed(log, found)


def _needed(log: LogToReplay, found: list[PieceName]) -> list[PieceName]:
    """Those in which something may be that was committed by the moment: in all behind them nothing
    is, whatever times are told in it."""
    if log.target_position:
        return found
    return list(takewhile(lambda each: each.from_ms < log.target_ms, found))


def _begins_at(log: LogToReplay) -> str | None:
    """The sum that the first piece has to go on from; None where nobody has kept it."""
    return log.behind_sha256 or (names.NONE if log.behind == 0 else None)


def _without_head(log: LogToReplay, listed: list[PieceName]) -> list[PieceName]:
    """A piece behind the moment is lost, or the head was never true: neither matters before it.

    A head alone tells that its log rested behind the last piece: no moment of that rest is sure
    without it. What is sure, up to the end of a piece, has the same data.
    """
    found = list[PieceName]()
    for piece in names.going_on(listed, log.behind, _begins_at(log)):
        found.append(piece)
        if piece.until_ms >= log.target_ms and not log.target_position:
            return _needed(log, found)
    if found and log.target_position:
        return found
    number = found[-1].number + 1 if found else log.behind + 1
    theirs = sum(each.number == number for each in listed)
    what = "is not in the store" if not theirs else "cannot be told from others in the store"
    until = f"; what is sure goes to {_shown(found[-1])}" if found else ""
    raise Damaged(f"the log cannot be restored: piece {number} {what}{until}")


def _shown(piece: PieceName) -> str:
    until = datetime.fromtimestamp(piece.until_ms / 1000, UTC)
    return until.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def replayed(log: LogToReplay, store: Store, chosen: list[PieceName]) -> Iterator[ArchivedPiece]:
    """What is in them. `Damaged` where one does not go on where the one before has ended."""
    end: str | None = None
    for name in chosen:
        header, chunks = pieces.get(store, log.archive, log.location, name)
        if end is not None and header.start != end:
            raise Damaged(f"the log cannot be restored: it has a gap before piece {name.number}")
        # Else it is what was told before: the log may have rested until then.
        until_ms = header.until_ms if header.until_ms > header.from_ms else 0
        yield ArchivedPiece(header.start, header.end, until_ms, chunks, header.until_position)
        end = header.end


def applied(log: LogToReplay | None) -> answers.Applied:
    """What is answered when it is done."""
    if log is None:
        return answers.Applied()
    return answers.Applied(log.target_ms, log.target_position)


def told(count: int, found: Iterator[ArchivedPiece], progress: Progress) -> Iterator[ArchivedPiece]:
    """The same, with the progress."""
    for number, piece in enumerate(found, 1):
        progress(f"replaying piece {number} of {count} of the log")
        yield piece


def _listed(log: LogToReplay, ask: ListPieces, stop: aws.Event) -> Iterator[PieceName]:
    """All names of pieces up to the head, with those that are on no way back from it: a guest that
    was broken into may have written any number of such names into its own archive."""
    behind: str | None = names.after(log.behind)
    count = 0
    for _ in range(MOST_PAGES):
        if behind is None or behind >= names.after(log.number):
            return
        page = _page(log.archive, behind, ask, stop)
        found = [each for name in page.names if (each := names.parsed(name)) is not None]
        yield from found
        count += len(found)
        if count > MOST_PIECES:
            break
        behind = page.next
    raise StoreFailed(
        f"the log cannot be restored: its archive has more than {MOST_PIECES} pieces behind the "
        f"backup, or {MOST_PAGES} pages of other objects among them"
    )


def _page(archive_id: str, behind: str, ask: ListPieces, stop: aws.Event) -> Listed:
    return asked(lambda: msgspec.json.decode(ask(archive_id, behind), type=Listed), stop, _WORDS)


_WORDS: Final = Words(
    over="no restore of the instance needs this log any more",
    unknown="what the control plane lists of a log is not known",
    none="the pieces of the log were not listed",
)
