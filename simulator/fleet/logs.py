"""The log of a simulated database: its commits, as pieces of a few, and how they are replayed.

MariaDB keeps it after a restart only, PostgreSQL at once. It has no gap that it does not tell of; a
replay, though, takes what it is given: that a gap was overlooked the invariants have to see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final

import msgspec

from chalicelib.bus.contract import answers, arguments
from chalicelib.engines import positions
from chalicelib.engines.engine import Engine
from chalicelib.engines.positions import LogPlace
from guest_agent.backups.store import Damaged
from guest_agent.datastores.log import ArchivedPiece, Log, LogLost, Piece, Target
from guest_agent.errors import NotSupported
from guest_agent.manager import WithLog
from simulator.fleet import datastore
from simulator.fleet.backups import Written, copy_of, with_page
from simulator.fleet.datastore import Contents
from simulator.fleet.machine import OnMachine

A_PIECE: Final = 4
"""Commits in one."""
_SEQUENCES: Final = {positions.GTID.name: (0, 1), positions.LSN.name: ()}
"""Of the places in a log, of a server that nobody has told otherwise."""


class Committed(msgspec.Struct, frozen=True):
    """A commit as it is archived: its positions, when it was, and the pages that it has written."""

    after: int
    position: int
    at_ms: int
    pages: list[Written]


class WithSimLog(OnMachine, WithLog):
    """The part of the guest contract about the log."""

    ENGINE: ClassVar[Engine]
    KEPT_AT_ONCE: ClassVar[bool] = True
    want_log: Callable[[arguments.Archive | None], bool] | None

    def log(self) -> Log[Any] | None:
        return SimLog(self)

    def read_note(self) -> bytes | None:
        return self._formatted().log_note

    def write_note(self, note: bytes) -> None:
        volume = self._formatted()

        def write() -> None:
            volume.log_note = note

        self._perform("note", write)

    def keep_log(self, request: arguments.KeepLog) -> answers.LogKept:
        if self.want_log is None:
            raise NotSupported("this guest agent archives no log")
        return answers.LogKept(restart_required=not self.want_log(request.archive))

    def replay(
        self, contents: Contents, since: str, pieces: Iterator[ArchivedPiece], target: Target
    ) -> Contents:
        """As `WithSimBackups` wants it."""
        if target.position:
            return replayed_to(contents, since, pieces, self.ENGINE, target.position)
        return replayed(contents, since, pieces, target.ms, self.ENGINE.moment_ms)

    def place_of(self, position: int) -> str:
        return place_in(self.ENGINE, position)

    def keep(self) -> bool:
        """Have a start keep it; whether it is kept now."""
        machine = self._machine
        machine.here(self._life)
        machine.disk.keeps_log = True
        if not machine.up:
            return False
        volume = self._formatted()
        if volume.log is None and self.KEPT_AT_ONCE:
            volume.log = datastore.Log(volume.contents.log_position)
        volume.keeps_log = volume.log is not None
        return volume.keeps_log

    def forget(self) -> None:
        """Keep it no longer."""
        machine = self._machine
        machine.here(self._life)
        machine.disk.keeps_log = False
        volume = machine.volume
        if volume is not None:
            volume.keeps_log = False
            if self.KEPT_AT_ONCE:
                volume.log = None
            elif volume.log is not None:
                volume.log.release(volume.contents.log_position)

    def kept(self) -> datastore.Log:
        """What is kept; `LogLost` when nothing is."""
        self._read()
        found = self._formatted().log
        if found is None:
            raise LogLost("the database kept no log")
        return found

    def reached(self) -> int:
        """The position of the last commit."""
        return self._read().log_position


class SimLog(Log[Any]):
    """`Log` of a simulated database."""

    def __init__(self, guest: WithSimLog) -> None:
        self._guest = guest

    def keep(self) -> bool:
        return self._guest.keep()

    def forget(self) -> None:
        self._guest.forget()

    def begin(self) -> str:
        return str(self._guest.reached())

    def since(self, position: str) -> Iterator[Piece]:
        log, behind = self._guest.kept(), int(position)
        if log.start > behind:
            raise LogLost(f"the log begins behind {log.start}")
        if behind > self._guest.reached():
            raise LogLost("the database was put back to an earlier state")
        entries = [each for each in log.entries if each.position > behind]
        for first in range(0, len(entries), A_PIECE):
            yield _piece(entries[first : first + A_PIECE], self._guest.place_of)

    def release(self, position: str) -> None:
        self._guest.kept().release(int(position))

    def waiting(self, position: str) -> int:
        return self._guest.kept().behind(int(position))


def replayed(
    contents: Contents,
    since: str,
    pieces: Iterator[ArchivedPiece],
    target_ms: int,
    each_ms: int = 1,
) -> Contents:
    """The contents of a copy with what was committed behind it, up to a moment, as far as times of
    so many milliseconds tell."""
    for piece in pieces:
        for each in _committed(piece):
            if each.at_ms // each_ms * each_ms > target_ms:
                return contents  # as an engine does, whatever comes behind it
            contents = _with(contents, since, each)
    return contents


def replayed_to(
    contents: Contents, since: str, pieces: Iterator[ArchivedPiece], engine: Engine, position: str
) -> Contents:
    """The contents of a copy with what is in the log behind it, up to a position as the engine's
    customers name it."""
    assert engine.positions is not None, "another engine keeps no log"
    wanted = engine.positions.read(position)
    for piece in pieces:
        for each in _committed(piece):
            if wanted is None or each.position > wanted.number:
                return contents
            contents = _with(contents, since, each)
        if wanted is not None and int(piece.end) >= wanted.number:
            return contents
    raise Damaged("the log cannot be restored: it does not reach the position")


def place_in(engine: Engine, position: int) -> str:
    """A position of the log as its engine's customers name it."""
    known = engine.positions
    return known.written(LogPlace(_SEQUENCES[known.name], position)) if known else ""


def _committed(piece: ArchivedPiece) -> list[Committed]:
    return msgspec.json.decode(b"".join(piece.chunks), type=list[Committed])


def _with(contents: Contents, since: str, commit: Committed) -> Contents:
    """The contents with a commit, unless it is in them."""
    if commit.position <= max(contents.log_position, int(since)):
        return contents
    for page in commit.pages:
        try:
            contents = with_page(contents, page)
        except KeyError:  # of a database that is not there: something is missing
            raise Damaged("the log cannot be restored: it does not fit") from None
    return msgspec.structs.replace(contents, log_position=commit.position)


def _piece(entries: list[datastore.Logged], place_of: Callable[[int], str]) -> Piece:
    start, last = str(entries[0].after), entries[-1]
    return Piece(
        start,
        str(last.position),
        last.at_ms - 1,
        lambda: iter([_encoded(entries)]),
        place_of(last.position),
    )


def _encoded(entries: list[datastore.Logged]) -> bytes:
    return msgspec.json.encode(
        [
            Committed(
                each.after, each.position, each.at_ms, copy_of(each.contents, each.after).pages
            )
            for each in entries
        ]
    )
