"""The rules of archives of logs: where they lie, and to which moments an instance can be restored.

A backup that an archive has gone on from is a base. From the moment of a base to the last one that
its archive has, everything can be restored; what lies between two archives cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec

from chalicelib.domain.backups import chain_among, is_damaged
from chalicelib.engines import ENGINES
from chalicelib.engines.positions import LogPlace
from chalicelib.errors import BadRequest
from chalicelib.status import BackupStatus

FOLDER: Final = "log"
"""Below a project's, beside its backups', whose names are ids."""
MOST_RANGES: Final = 5
"""That a refusal names, the newest."""
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
MOST_BACK_MS: Final = 60_000
"""So far the clock of a server may be put back without an end of its archive: the guest's own
bound, which rules cannot import; a test holds both together."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class State(StrEnum):
    """Of the row of an archive. NEW: its guest has told nothing of it yet. RESTART: it begins with
    the next start of the database."""

    NEW = "new"
    WAITS = "waits"
    RESTART = "restart"
    RUNS = "runs"
    ENDED = "ended"


class Base(Protocol):
    """What of a backup its rules look at."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def archive_id(self) -> str | None: ...
    @property
    def parents(self) -> Sequence[str]: ...
    @property
    def verdict(self) -> str | None: ...
    @property
    def reached_ms(self) -> float | None: ...
    @property
    def reached_position(self) -> str | None: ...
    @property
    def manager(self) -> str: ...


class Archived(Protocol):
    """What of an archive."""

    @property
    def id(self) -> str: ...
    @property
    def until_ms(self) -> float | None: ...
    @property
    def until_position(self) -> str | None: ...
    @property
    def number(self) -> float: ...
    @property
    def sealed_key(self) -> str | None: ...


class Begun(Protocol):
    """What of an archive, when a backup is to be its base."""

    @property
    def id(self) -> str: ...
    @property
    def created(self) -> float: ...
    @property
    def ended(self) -> float | None: ...


class Range(NamedTuple):
    """Moments that can be restored, both ends included, in milliseconds."""

    since_ms: int
    until_ms: int


B = TypeVar("B", bound=Base)
A = TypeVar("A", bound=Archived)


def location(tenant_id: str, archive_id: str) -> str:
    """Where its pieces lie: as deep as a backup's objects."""
    return f"{tenant_id}/{FOLDER}/{archive_id}"


def moment(text: str) -> int:
    """The milliseconds of a time in ISO 8601, UTC where it names no offset; `BadRequest`."""
    try:
        found = datetime.fromisoformat(text.strip())
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        found = found.astimezone(UTC)  # whose year has four digits there, too
    except (ValueError, OverflowError):
        raise BadRequest(
            "Validation error: 'time' is no time of ISO 8601, such as 2026-11-27T12:30:00Z."
        ) from None
    if found < EARLIEST:
        raise BadRequest(f"Validation error: 'time' is before {EARLIEST:%Y-%m-%d}.")
    return (found - _EPOCH) // timedelta(milliseconds=1)


def shown(ms: float) -> str:
    """A moment as people read it."""
    found = _EPOCH + timedelta(milliseconds=int(ms))
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_open(archive: Archived) -> bool:
    """Whether what was sent to an archive can be opened: a restored table may lack its key."""
    return archive.sealed_key is not None or not archive.number


def is_base(base: Base, archive: Archived) -> bool:
    """Whether an archive has gone on from a backup, and can be read."""
    return (
        is_open(archive)
        and base.status == BackupStatus.COMPLETED
        and base.archive_id == archive.id
        and base.reached_ms is not None
        and archive.until_ms is not None
        and base.reached_ms <= archive.until_ms
    )


class Before(msgspec.Struct, frozen=True):
    """What was told of an archive when a backup was accepted: it goes on behind that, or later."""

    archive: str
    number: int
    until_ms: int
    until_position: str = ""


def may_go_on(
    archive: Begun, accepted: float, before: Before | None, number: int, reached_ms: int
) -> bool:
    """Whether an archive may go on from a backup as its guest says, behind that number and moment.

    None goes on from earlier than the backup was accepted: who has stolen a guest would have its
    own data restored for moments of days before. Rows of before do not know what was told then.
    """
    if before is None:
        return archive.ended is None or archive.ended >= accepted
    if before.archive != archive.id:
        return archive.created >= accepted
    return number >= before.number and reached_ms >= before.until_ms - MOST_BACK_MS


def may_reach(archive: Begun, before: Before | None, position: str, manager: str) -> bool:
    """Whether a backup that an archive may go on from may have that position, as its guest says: as
    for moments, none is before what was told when the backup was accepted."""
    told = before.until_position if before is not None and before.archive == archive.id else None
    least = place_of(told, manager)
    return least is None or _in_order(least, place_of(position, manager))


def range_of(archive: Archived, bases: Iterable[Base]) -> Range | None:
    """The moments that an archive and the backups that are kept give back; None without any."""
    found = [base for base in bases if is_base(base, archive)]
    if not found:
        return None
    manager = found[0].manager
    first = told_apart(min(int(base.reached_ms or 0) for base in found), manager, later=True)
    last = told_apart(int(archive.until_ms or 0), manager)
    return Range(first, last) if first <= last else None


def told_apart(moment_ms: int, manager: str, *, later: bool = False) -> int:
    """The last moment up to one, or the first from it on, that the engine's log tells apart from
    those behind it: of one whose times are whole seconds the end of a second."""
    each_ms = ENGINES[manager].moment_ms
    begun = moment_ms + 1 + (each_ms - 1 if later else 0)
    return begun // each_ms * each_ms - 1


def place_of(text: str | None, manager: str) -> LogPlace | None:
    """A place in the log of an engine that its customers name so; None of what is none."""
    positions = ENGINES[manager].positions
    return positions.read(text) if text and positions is not None else None


class Moment(NamedTuple):
    """A moment to which something is to be restored, in milliseconds."""

    ms: int

    @property
    def text(self) -> str:
        """As people read it."""
        return shown(self.ms)

    def begins_with(self, base: Base) -> bool:
        """Whether a backup has nothing of later than the moment that the log tells apart."""
        reached_ms = base.reached_ms
        return reached_ms is not None and reached_ms <= told_apart(self.ms, base.manager)

    def is_in(self, archive: Archived, manager: str) -> bool:
        """Whether an archive goes so far."""
        return told_apart(self.ms, manager) <= int(archive.until_ms or 0)

    def possible(self, archive: Archived, bases: Iterable[Base]) -> tuple[str, str] | None:
        """What an archive and the backups that are kept give back; None without any."""
        found = range_of(archive, bases)
        return (shown(found.since_ms), shown(found.until_ms)) if found else None


class Position(NamedTuple):
    """A place in the log to which something is to be restored, as customers name it."""

    text: str

    def begins_with(self, base: Base) -> bool:
        """Whether a backup has nothing that lies behind it in the log."""
        reached = place_of(base.reached_position, base.manager)
        return _in_order(reached, place_of(self.text, base.manager))

    def is_in(self, archive: Archived, manager: str) -> bool:
        """Whether an archive goes so far."""
        until = place_of(archive.until_position, manager)
        return _in_order(place_of(self.text, manager), until)

    def possible(self, archive: Archived, bases: Iterable[Base]) -> tuple[str, str] | None:
        """What an archive and the backups that are kept give back; None without any."""
        return positions_of(archive, bases)

    def written(self, manager: str) -> str:
        """As its engine writes it; `BadRequest` for what is none of its own."""
        positions = ENGINES[manager].positions
        place = place_of(self.text, manager)
        if positions is None or place is None:
            what = f"{positions.name}, such as {positions.example}" if positions else "position"
            raise BadRequest(f"Validation error: 'position' is no {what}.")
        return positions.written(place)


def _in_order(first: LogPlace | None, second: LogPlace | None) -> bool:
    if first is None or second is None:
        return False
    return first.sequence == second.sequence and first.number <= second.number


def positions_of(archive: Archived, bases: Iterable[Base]) -> tuple[str, str] | None:
    """The first and the last position to which an archive and the backups that are kept give back
    all; None without any."""
    found = [
        (place, base.reached_position)
        for base in bases
        if is_base(base, archive)
        and (place := place_of(base.reached_position, base.manager)) is not None
        and _in_order(place, place_of(archive.until_position, base.manager))
    ]
    if not found:
        return None
    return str(min(found)[1]), str(archive.until_position)


def base_for(
    goal: Moment | Position, bases: Sequence[B], archives: Sequence[A], whose: str
) -> tuple[B, A]:
    """The newest backup that a moment or position can be restored from, and the archive that goes
    on from it; one that was tried out and is damaged where there is no other.

    `BadRequest` (400) tells what is possible, and that a position is in more than one archive.
    """
    by_id = {archive.id: archive for archive in archives}
    fitting = [
        (base, by_id[base.archive_id])
        for base in bases
        if base.archive_id in by_id
        and is_base(base, by_id[base.archive_id])
        and goal.begins_with(base)
        and goal.is_in(by_id[base.archive_id], base.manager)
    ]
    if not fitting:
        raise BadRequest(
            f"{whose} cannot be restored to {goal.text}. {_possible(goal, bases, archives)}"
        )
    if isinstance(goal, Position) and len({archive.id for _, archive in fitting}) > 1:
        raise BadRequest(
            f"{whose} was at {goal.text} in more than one archive of its log, begun anew. "
            "A 'backupRef' in the place of the 'instance' tells which is meant."
        )
    rows = {base.id: base for base in bases}
    sound = [each for each in fitting if not is_damaged(chain_among(each[0], rows))]
    return max(sound or fitting, key=lambda found: int(found[0].reached_ms or 0))


def _possible(goal: Moment | Position, bases: Sequence[Base], archives: Sequence[Archived]) -> str:
    newest_last = sorted(archives, key=lambda archive: archive.until_ms or 0)
    found = dict.fromkeys(each for row in newest_last if (each := goal.possible(row, bases)))
    if not found:
        what = "moment" if isinstance(goal, Moment) else "position"
        return f"No {what} is possible: no backup is kept whose log goes on in an archive."
    told = [f"from {since} to {until}" for since, until in found]
    return f"Possible is {', and '.join(told[-MOST_RANGES:])}."


def floor_of(archive: Archived, bases: Iterable[Base]) -> int | None:
    """The number up to which no base that is kept needs the pieces; None without a base."""
    needed = [
        int(getattr(base, "archive_number", None) or 0)
        for base in bases
        if base.archive_id == archive.id and base.status == BackupStatus.COMPLETED
    ]
    return min(needed, default=None)
