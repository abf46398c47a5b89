"""Bugs of archives of logs: gaps, pieces that go too early, moments that are told too soon."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from chalicelib import aws
from chalicelib.api import restore_point
from chalicelib.bus.contract.archiving import ArchiveState
from chalicelib.bus.contract.arguments import LogToReplay
from chalicelib.bus.contract.pieces import PieceName
from chalicelib.conductor import storage
from chalicelib.domain import archives as rules
from chalicelib.errors import Gone
from chalicelib.store.models import Archive, Backup, Instance
from guest_agent.backups import replaying
from guest_agent.backups.archiver import Archiver, Note
from guest_agent.datastores.log import Log
from guest_agent.manager import ListPieces, WithLog
from tests.saboteurs.registry import Patch, saboteur

MINUTE = 60.0


@saboteur("archived", "L12", seeds=10)
def a_gap_that_is_overlooked(patch: Patch) -> None:
    """An archive whose log is lost goes on from where the log is now."""

    def go_on(self: Archiver, manager: WithLog, note: Note, why: str) -> Note:
        log = manager.log()
        assert log is not None
        further = msgspec.structs.replace(note, position=log.begin())
        manager.write_note(msgspec.json.encode(further))
        return further

    patch.setattr(Archiver, "_break", go_on)


@saboteur("archived", "L12")
def a_piece_that_is_left_out(patch: Patch) -> None:
    """A restore to a moment begins with the second piece behind its backup."""
    original = replaying.wanted

    def wanted(log: LogToReplay, ask: ListPieces, stop: aws.Event) -> list[PieceName]:
        return original(log, ask, stop)[1:]

    patch.setattr(replaying, "wanted", wanted)


@saboteur("archived", "L12")
def pieces_that_go_too_early(patch: Patch) -> None:
    """With a backup all of the log goes, also what another one goes on with."""

    def floor_of(archive: rules.Archived, bases: Iterable[rules.Base]) -> int:
        return int(getattr(archive, "number", 0))

    patch.setattr(rules, "floor_of", floor_of)


@saboteur("archived", "L12", seeds=10)
def a_moment_that_is_told_too_soon(patch: Patch) -> None:
    """A guest says each minute that all is in the store, and sends it in each third one."""
    original = Archiver._send_all

    def send_all(self: Archiver, manager: WithLog, log: Log[Any], note: Note) -> Note:
        if int(aws.monotonic() // MINUTE) % 3 == 0:
            return original(self, manager, log, note)
        told = msgspec.structs.replace(note, until_ms=int(aws.clock() * 1000))
        self._tell(ArchiveState.RUNS, told, "")
        return note

    patch.setattr(Archiver, "_send_all", send_all)


@saboteur("archived", "L12")
def a_rest_that_is_not_noted(patch: Patch) -> None:
    """That a log rests is told, and what is committed then says to be of an hour before."""

    def rest(_: Archiver, __: WithLog, note: Note, asked: int) -> Note:
        return msgspec.structs.replace(note, until_ms=max(asked, note.until_ms))

    patch.setattr(Archiver, "_rest", rest)


@saboteur("archived", "L12")
def a_second_that_is_taken_whole(patch: Patch) -> None:
    """A log with whole seconds is replayed to a moment within one: what came later in it, too."""

    def told_apart(moment_ms: int, manager: str, *, later: bool = False) -> int:
        return moment_ms

    patch.setattr(rules, "told_apart", told_apart)


@saboteur("archived", "L12", seeds=20)
def a_base_behind_the_position(patch: Patch) -> None:
    """A restore to a position begins with the newest backup, whatever that has."""
    patch.setattr(rules.Position, "begins_with", lambda *_: True)


@saboteur("archived", "I45", seeds=20)
def a_position_that_is_not_read(patch: Patch) -> None:
    """A restore to a position is one to the end of the log."""
    original = restore_point._begins

    def begins(base: Backup, archive: Archive, goal: restore_point.Goal) -> restore_point.Begins:
        if isinstance(goal, rules.Position):
            goal = rules.Moment(int(archive.until_ms or 0))
        return original(base, archive, goal)

    patch.setattr(restore_point, "_begins", begins)


@saboteur("archived", "I38")
def an_archive_that_nothing_is_lent_for(patch: Patch) -> None:
    """Whoever has a log to send is told that nobody needs it."""

    def refuse(_: storage.Ask, __: Instance) -> storage.Storage:
        raise Gone(storage.OVER)

    patch.setattr(storage, "_for_archive", refuse)
