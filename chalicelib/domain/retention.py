"""Which backups a schedule gives up.

kept     its newest complete ones, `keep_count` of them, none older than `keep_days`; the newest
         in any case, however old: a schedule that has failed for months leaves something
sound    what was tried out and is damaged takes nobody's place: as many are kept of the others,
         and the newest of them in any case. A verdict alone deletes nothing
stays    all of a chain in which one is kept, or being made, or read by a restore, or which
         holds what the schedule has not made
goes     the rest, what nothing builds on first; and what has failed, when a newer one is there
again    what could not be deleted, a day later: who is in its way may be so for good
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final, Protocol

from chalicelib.domain.backups import chain_among, is_damaged
from chalicelib.status import BackupStatus

DAY_SECONDS: Final = 86400.0
AGAIN_SECONDS: Final = DAY_SECONDS
"""Between two deletions of one that fail."""


class Made(Protocol):
    """What of a backup decides."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def schedule_id(self) -> str | None: ...
    @property
    def created(self) -> float: ...
    @property
    def updated(self) -> float: ...
    @property
    def parents(self) -> Sequence[str]: ...
    @property
    def children(self) -> float: ...
    @property
    def verdict(self) -> str | None: ...


class Keeping(Protocol):
    """What of a schedule decides."""

    @property
    def id(self) -> str: ...
    @property
    def keep_count(self) -> float | None: ...
    @property
    def keep_days(self) -> float | None: ...


def given_up(
    keeping: Keeping, made: Sequence[Made], now: float, read: Container[str] = ()
) -> list[str]:
    """The ids of those that nothing builds on and that go now, the oldest first.

    `made` are all backups of the instance, whoever asked for them; `read` the ids of those that a
    restore reads. What these were built on goes when they are gone.
    """
    if keeping.keep_count is None and keeping.keep_days is None:
        return []
    own, sound = _own(keeping, made)
    kept = _kept(keeping, own, now) | _kept(keeping, sound, now)
    staying = {
        chain_of(each)
        for each in made
        if each.id in kept
        or each.id in read
        or each.status in _MADE
        or (each.schedule_id != keeping.id and each.status != BackupStatus.FAILED)
    }
    newest = max((each.created for each in own), default=0.0)
    gone = [
        each
        for each in own
        if not each.children
        and each.status in _CAN_GO
        and (each.status != BackupStatus.DELETE_FAILED or now - each.updated >= AGAIN_SECONDS)
        and (each.created < newest if each.status in _BROKEN else chain_of(each) not in staying)
    ]
    return [each.id for each in sorted(gone, key=lambda each: each.created)]


def places_taken(keeping: Keeping, made: Sequence[Made], now: float) -> set[str]:
    """The ids of those that others go for, and of what these build on: were one of them not there,
    or damaged, an older one would be kept. By age alone nothing takes another one's place, but the
    newest is kept in any case, also of what has failed.
    """
    rows = {each.id: each for each in made}
    own, sound = _own(keeping, made)
    taken = {each.id for each in sorted(own, key=lambda each: each.created)[-1:]}
    for among in (own, sound):
        complete = _complete(among)
        most = 1 if keeping.keep_count is None else max(int(keeping.keep_count), 1)
        for each in complete[:most]:
            taken |= {each.id, *(parent for parent in each.parents if parent in rows)}
    return taken


def _own(keeping: Keeping, made: Sequence[Made]) -> tuple[list[Made], list[Made]]:
    """Those that the schedule has made, and those of them that are not known to be damaged."""
    own = [each for each in made if each.schedule_id == keeping.id]
    rows = {each.id: each for each in made}
    return own, [each for each in own if not is_damaged(chain_among(each, rows))]


_MADE: Final = frozenset({BackupStatus.NEW, BackupStatus.BUILDING})
_BROKEN: Final = frozenset({BackupStatus.FAILED, BackupStatus.DELETE_FAILED})
_CAN_GO: Final = frozenset({BackupStatus.COMPLETED, *_BROKEN})


def _kept(keeping: Keeping, own: Sequence[Made], now: float) -> set[str]:
    complete = _complete(own)
    most = len(complete) if keeping.keep_count is None else int(keeping.keep_count)
    days = keeping.keep_days
    since = now - float(days) * DAY_SECONDS if days is not None else 0.0
    kept = {each.id for each in complete[:most] if each.created >= since}
    return kept | {each.id for each in complete[:1]}


def _complete(own: Sequence[Made]) -> list[Made]:
    """Those that are complete, newest first."""
    complete = [each for each in own if each.status == BackupStatus.COMPLETED]
    return sorted(complete, key=lambda each: each.created, reverse=True)


def chain_of(each: Made) -> str:
    """The id of the full backup that one's chain begins with."""
    return each.parents[0] if each.parents else each.id
