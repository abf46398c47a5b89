"""From the names of an archive's pieces to the log behind a backup, each piece once and checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from chalicelib import aws
from chalicelib.bus.contract import pieces as names
from chalicelib.bus.contract.arguments import LogToReplay
from chalicelib.bus.contract.pieces import PieceName
from guest_agent.backups import pieces
from guest_agent.backups.store import PATIENCE_SECONDS, Cancelled, Damaged, Store, StoreFailed
from guest_agent.datastores.log import ArchivedPiece
from guest_agent.enrolment import delay_before
from guest_agent.errors import Retired, Unauthorized, Unreachable
from guest_agent.manager import ListPieces, Progress

MOST_PIECES: Final = 1_000_000
"""Behind one backup: two years of one a minute."""


class Listed(msgspec.Struct, frozen=True):
    """A page of names; `more`: others come behind the last one's number."""

    names: list[str]
    more: bool


def wanted(log: LogToReplay, ask: ListPieces) -> list[PieceName]:
    """The pieces behind a backup that lead to the head, in order, as far as the moment needs them.

    Raises `StoreFailed`, or `Damaged` where one is missing.
    """
    if log.number == log.behind:
        return []
    found = list(names.leading_to(_listed(log, ask), log.behind, log.number, log.sha256 or ""))
    if len(found) != log.number - log.behind:
        last = found[-1].number if found else log.number + 1
        raise Damaged(f"the log cannot be restored: piece {last - 1} is not in the store")
    found.reverse()
    beyond = next((at for at, each in enumerate(found) if each.until_ms > log.target_ms), None)
    return found if beyond is None else found[: beyond + 1]


def replayed(log: LogToReplay, store: Store, chosen: list[PieceName]) -> Iterator[ArchivedPiece]:
    """What is in them. `Damaged` where one does not go on where the one before has ended."""
    end: str | None = None
    for name in chosen:
        header, chunks = pieces.get(store, log.archive, log.location, name)
        if end is not None and header.start != end:
            raise Damaged(f"the log cannot be restored: it has a gap before piece {name.number}")
        yield ArchivedPiece(header.start, header.end, header.until_ms, chunks)
        end = header.end


def told(count: int, found: Iterator[ArchivedPiece], progress: Progress) -> Iterator[ArchivedPiece]:
    """The same, with the progress."""
    for number, piece in enumerate(found, 1):
        progress(f"replaying piece {number} of {count} of the log")
        yield piece


def _listed(log: LogToReplay, ask: ListPieces) -> Iterator[PieceName]:
    behind, count = log.behind, 0
    while behind < log.number:
        page = _page(log.archive, behind, ask)
        found = [each for name in page.names if (each := names.parsed(name)) is not None]
        yield from found
        count += len(found)
        if not page.more or not found:
            return
        if count > MOST_PIECES:
            raise StoreFailed(f"more than {MOST_PIECES} pieces of the log are to be replayed")
        # All of a number come together, whatever page they begin on.
        behind = max(found[-1].number - 1, behind + 1)


def _page(archive_id: str, behind: int, ask: ListPieces) -> Listed:
    """Asked for as long as a store is, while the control plane cannot be reached."""
    until = aws.monotonic() + PATIENCE_SECONDS
    attempt = 0
    while True:
        try:
            return msgspec.json.decode(ask(archive_id, behind), type=Listed)
        except Retired:
            raise Cancelled("no restore of the instance needs this log any more") from None
        except Unauthorized:
            raise StoreFailed("the control plane does not accept this guest's key") from None
        except msgspec.DecodeError:
            raise StoreFailed("what the control plane lists of a log is not known") from None
        except Unreachable as error:
            pause = delay_before(attempt)
            if aws.monotonic() + pause >= until:
                raise StoreFailed(
                    f"the pieces of the log were not listed: {str(error).rstrip('.')}"
                ) from None
        attempt += 1
        aws.sleep(pause)
