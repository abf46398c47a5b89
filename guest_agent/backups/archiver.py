"""Sends the database's log to the object store, piece by piece, as long as that is wanted.

    wanted (with the credentials, or by command) ──▶ the log is kept ──▶ an archive begins here
    each minute      what is new ──▶ a piece ──▶ PUT ──▶ noted on the volume ──▶ released
    not any more     the log is let go
    a gap            noted; told until another archive is wanted, which begins anew

The note lies on the volume, beside the log that it points into: whoever has that volume goes on
with both. What is not sent may take a share of the volume and no more: a database that stands still
for want of room is worse than an archive with an end. So a database that takes no writes is still
asked for its log: that may be what fills the volume, and goes when it is sent.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from chalicelib import aws
from chalicelib.bus.contract.answers import LogPlace
from chalicelib.bus.contract.archiving import ArchiveState, Archiving, sentence
from chalicelib.bus.contract.arguments import Archive
from chalicelib.bus.contract.pieces import NONE
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.backups import pieces
from guest_agent.backups.store import Cancelled, Store, StoreFailed
from guest_agent.datastores.log import Log, LogLost, Sent
from guest_agent.errors import CommandFailed, GuestAgentError, Unavailable, where
from guest_agent.manager import Manager, WithLog
from guest_agent.memory import Memory

SHARE: Final = 8
"""Of the volume, one part in so many may wait for the store."""
GUARD_SECONDS: Final = 30.0
"""So often what waits is looked at while a piece is on its way."""
SETTLED_MS: Final = 1000
"""A commit is in the log so long after the time that it is stamped with, at most."""
MOST_BACK_MS: Final = 60_000
"""So far a clock may be put back: more makes moments that are there twice, and ends an archive. The
control plane believes in as much (`domain.archives`), and takes what is more for no base."""
GIB: Final = 1024**3
_ANSWERS: Final = frozenset({Status.HEALTHY, Status.BLOCKED})
"""A blocked one mostly does: its volume is full, or its customers have all connections but one."""
_WAITS_FOR_START: Final = "the database keeps its log after a restart only"
_PUT_BACK: Final = "the clock of the server was put back"
_RAN_WITHOUT: Final = "the database ran without its log"
_log = logging.getLogger(__name__)


class Note(msgspec.Struct, frozen=True):
    """Up to where an archive has been sent; without a `position` it has not begun, and with a
    reason it is `broken`."""

    archive: str
    position: str = ""
    number: int = 0
    sha256: str = NONE
    from_ms: int = 0
    until_ms: int = 0
    broken: str = ""
    until_position: str = ""


class Archiver:
    """Looks with every pulse; the work is done beside it, one round at a time."""

    def __init__(self, manager: Manager, memory: Memory, on_finished: Callable[[], None]) -> None:
        self._manager, self._memory, self._on_finished = manager, memory, on_finished
        self.working = False
        self._turn = aws.lock()
        self._store: tuple[str, Store] | None = None
        self._stop = aws.event()
        self._leaving = False
        self._position = ""
        self._free_at = 0.0
        self._guarded_at = 0.0
        self._guarding = False
        manager.want_log, manager.log_place = self.keep, self.place

    def keep(self, archive: Archive | None) -> bool:
        """The same by command; whether the log is kept from now on, without a restart."""
        self.want(archive)
        manager = self._manager
        log = manager.log() if isinstance(manager, WithLog) else None
        if archive is None or log is None:
            return True
        with self._turn:
            return log.keep()

    def want(self, archive: Archive | None) -> None:
        """Send the log there from now on, or nowhere."""
        memory = self._memory
        if not memory.archive_known or archive != memory.archive:
            memory.archive, memory.archive_known, memory.archive_at = archive, True, 0.0
            self._on_finished()

    def look(self, status: Status, *, leaving: bool = False) -> None:
        """Begin a round if one is due; of an agent that is to leave none begins, and the one that
        is under way ends with its piece: the next process goes on from what is noted."""
        if leaving:
            self._leaving = True
            self._stop.set()
            return
        memory, now = self._memory, aws.monotonic()
        manager = self._manager
        if not isinstance(manager, WithLog) or not memory.archive_known:
            return
        if memory.archive is None and memory.log_let_go:
            return
        if self.working:
            self._look_beside(manager, now)
            return
        if now < memory.archive_at:
            return
        every = memory.archive.every_seconds if memory.archive is not None else GUARD_SECONDS
        memory.archive_at = now + every
        self.working, self._guarded_at = True, now
        aws.spawn(lambda: self._round(manager, status), name="archive")

    def _round(self, manager: WithLog, status: Status) -> None:
        before = self._memory.archiving
        try:
            log = manager.log()
            if log is not None:
                self._archive(manager, log, status)
        except CommandFailed as error:
            _log.warning("The log waits: %s", error)
            self._hold_up(str(error))
        except OSError as error:  # the next round is the retry
            _log.warning("The log waits:\n%s", where(error))
            self._hold_up(f"the guest's operating system refused: {error.strerror}")
        except Exception as error:  # noqa: BLE001 - the next round is the retry
            _log.error("The log was not archived:\n%s", where(error))
            self._hold_up("an internal error in the guest")
        finally:
            # What lies in the store counts when the control plane knows of it.
            self._memory.news |= _head(before) != _head(self._memory.archiving)
            self.working = False
            self._on_finished()

    def _archive(self, manager: WithLog, log: Log[Any], status: Status) -> None:
        memory, wanted = self._memory, self._memory.archive
        if wanted is None:
            log.forget()
            memory.log_let_go, memory.archiving = True, None
            return
        memory.log_let_go = False
        try:
            with self._turn:
                kept = log.keep()
        except Unavailable as error:
            kept = False  # one that does not run finds that it is wanted when it starts
            if status in _ANSWERS:
                self._lags(self._note(manager, wanted), str(error))
                raise
        if status not in _ANSWERS:
            self._tell(ArchiveState.WAITS, Note(wanted.id), "the database does not answer")
            return
        note = self._note(manager, wanted)
        if not note.broken:
            note = self._go_on(manager, log, note, kept=kept)
        if note.broken:
            with suppress(LogLost):  # there is none to release
                log.release(log.begin())
            self._tell(ArchiveState.BROKEN, note, note.broken)
            memory.wants_renewal = True  # another one may be wanted by now

    def _lags(self, note: Note, why: str) -> None:
        """Tell how far that of a database is that hangs, maybe since before this agent began."""
        if note.position and not note.broken:
            self._tell(ArchiveState.RUNS, note, why)

    def _note(self, manager: WithLog, wanted: Archive) -> Note:
        """What is noted of the archive that is wanted; a new note for another one."""
        written = manager.read_note()
        try:
            note = msgspec.json.decode(written or b"", type=Note)
        except msgspec.DecodeError:
            note = Note("")
        return note if note.archive == wanted.id else Note(wanted.id)

    def _go_on(self, manager: WithLog, log: Log[Any], note: Note, *, kept: bool) -> Note:
        """Send what is new; the note as it is then."""
        if not kept:
            if note.position:
                return self._break(manager, note, _RAN_WITHOUT)
            self._tell(ArchiveState.RESTART, note, _WAITS_FOR_START)
            return note
        if not note.position:
            now = _now_ms()
            note = msgspec.structs.replace(note, position=log.begin(), from_ms=now, until_ms=now)
            manager.write_note(msgspec.json.encode(note))
            log.release(note.position)
        self._tell(ArchiveState.RUNS, note, self._held_up())
        try:
            return self._send_all(manager, log, note)
        except LogLost as error:
            return self._break(manager, self._note_again(manager, note), str(error))
        except Cancelled:
            self._store = None
            if self._leaving:
                return self._note_again(manager, note)
            if self._stop.is_set():
                self._stop = aws.event()
                return self._break(manager, self._note_again(manager, note), self._overfull())
            self._memory.wants_renewal = True  # it is not wanted any more
            self._hold_up("another archive may be wanted")
        except StoreFailed as error:
            self._store = None
            self._hold_up(str(error))
        return self._note_again(manager, note)

    def _send_all(self, manager: WithLog, log: Log[Any], note: Note) -> Note:
        if self._too_much(manager, log, note.position):
            return self._break(manager, note, self._overfull())
        asked = _now_ms() - SETTLED_MS
        if asked < note.until_ms - MOST_BACK_MS:
            return self._break(manager, note, _PUT_BACK)
        waited = 0
        for piece in log.since(note.position):
            until_ms = max(min(piece.until_ms, asked), note.until_ms)
            header = pieces.Header(
                number=note.number + 1,
                before=note.sha256,
                start=piece.start,
                end=piece.end,
                from_ms=note.until_ms,
                until_ms=until_ms,
                until_position=piece.until_position,
            )
            self._pause(waited)
            wanted, waited = self._memory.archive, self._memory.log_waiting
            if wanted is None or wanted.id != note.archive:
                return note
            began = aws.monotonic()
            name, size = pieces.put(
                self._open(wanted), wanted.id, wanted.location, header, piece.chunks()
            )
            self._free_at = began + (size / wanted.bandwidth if wanted.bandwidth else 0.0)
            note = msgspec.structs.replace(
                note,
                position=piece.end,
                number=name.number,
                sha256=name.sha256,
                until_ms=until_ms,
                until_position=piece.until_position or note.until_position,
            )
            manager.write_note(msgspec.json.encode(note))
            log.release(piece.end)
            self._position = piece.end
            self._tell(ArchiveState.RUNS, note, "")
            if self._too_much(manager, log, note.position):
                return self._break(manager, note, self._overfull())
        note = self._rest(manager, note, asked)
        self._tell(ArchiveState.RUNS, note, "")
        return note

    def _pause(self, waited: int) -> None:
        """Let what was sent take the time that the bandwidth gives it; `waited` is what had waited
        before that. A log that outruns it is sent all the same, before its archive has to end."""
        if self._leaving:
            raise Cancelled("the agent is to leave")
        if self._memory.log_warned and self._memory.log_waiting >= waited:
            return
        if aws.wait(self._stop, max(self._free_at - aws.monotonic(), 0.0)):
            raise Cancelled("more of the log waits than may, or the agent is to leave")

    def _rest(self, manager: WithLog, note: Note, asked: int) -> Note:
        """All that was committed before it was asked is there. That is noted: the next piece has
        only what was committed later, whatever times are told in it."""
        if asked > note.until_ms:
            note = msgspec.structs.replace(note, until_ms=asked)
            manager.write_note(msgspec.json.encode(note))
        return note

    def _open(self, wanted: Archive) -> Store:
        """The store, as long as it works: each opening asks for credentials."""
        if self._store is None or self._store[0] != wanted.id:
            open_store = self._manager.open_store
            if open_store is None:
                raise StoreFailed("this guest agent reaches no object store")
            self._store = wanted.id, open_store(wanted.id, self._stop)
        return self._store[1]

    def _break(self, manager: WithLog, note: Note, why: str) -> Note:
        broken = msgspec.structs.replace(note, broken=sentence(why) or "its log was lost")
        manager.write_note(msgspec.json.encode(broken))
        _log.error("The archive of the log ends: %s", why)
        return broken

    def _note_again(self, manager: WithLog, note: Note) -> Note:
        return self._note(manager, Archive(note.archive, ""))

    def _too_much(self, manager: WithLog, log: Log[Any], position: str) -> bool:
        """Whether more waits than may; said before it does."""
        self._position = position
        waiting, most = log.waiting(position), self._most()
        self._memory.log_waiting = waiting
        if waiting > most / 2 and not self._memory.log_warned:
            said = f"{waiting} bytes of log wait to be archived, of {most} that may"
            self._memory.events = (*self._memory.events, ("log_waits", said))
        self._memory.log_warned = waiting > most / 2
        return waiting > most

    def _look_beside(self, manager: WithLog, now: float) -> None:
        """While a store is waited for, the log goes on growing: let the round end in time."""
        if self._guarding or now - self._guarded_at < GUARD_SECONDS or not self._position:
            return
        self._guarded_at, self._guarding = now, True
        aws.spawn(lambda: self._guard(manager), name="archive-guard")

    def _guard(self, manager: WithLog) -> None:
        try:
            log = manager.log()
            if log is not None and self._too_much(manager, log, self._position):
                self._stop.set()
        except GuestAgentError as error:
            _log.warning("What waits of the log is not known: %s", error)
        finally:
            self._guarding = False

    def _tell(self, state: ArchiveState, note: Note, why: str) -> None:
        self._memory.archiving = Archiving(
            id=note.archive,
            state=state,
            number=note.number,
            sha256=note.sha256 if note.number else None,
            from_ms=note.from_ms,
            until_ms=note.until_ms,
            until_position=note.until_position,
            waiting=self._memory.log_waiting,
            reason=sentence(why),
        )

    def _held_up(self) -> str:
        """What has held it up, and may still: it is told until something was sent, or all was."""
        told = self._memory.archiving
        return told.reason if told is not None and told.state is ArchiveState.RUNS else ""

    def _hold_up(self, why: str) -> None:
        if self._memory.archiving is not None:
            self._memory.archiving = msgspec.structs.replace(
                self._memory.archiving, reason=sentence(why)
            )

    def _most(self) -> int:
        """Bytes of log that may wait."""
        return int(self._manager.filesystem()["total"] * GIB / SHARE)

    def _overfull(self) -> str:
        return f"more log waited for the store than {self._most()} bytes, a share of the volume"

    def place(self) -> Sent | None:
        """Up to where the archive that runs was sent; None of one that does not, and of one whose
        clock was put back: what is committed now is of moments that were told of before."""
        told = self._memory.archiving
        if told is None or told.state is not ArchiveState.RUNS or told.until_ms > _now_ms():
            return None
        return Sent(told.id, told.number, told.sha256 or NONE)


def log_behind(
    before: Sent | None, now: Sent | None, position: str, reached_position: str
) -> LogPlace | None:
    """Where the log goes on behind a copy, if one archive ran from before it to its end.

    `before` and `now` are up to where it was sent then, and is now.
    """
    if before is None or now is None or before.archive != now.archive or not position:
        return None
    reached_ms = math.ceil(aws.clock() * 1000)
    return LogPlace(
        before.archive, before.number, position, reached_ms, before.sha256, reached_position
    )


def _head(told: Archiving | None) -> tuple[str, str, int] | None:
    return (told.id, told.state, told.number) if told is not None else None


def _now_ms() -> int:
    return int(aws.clock() * 1000)
