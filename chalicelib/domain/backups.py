"""The rules of backups: where they lie, what builds on what, where they can be restored to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from chalicelib import engines
from chalicelib.domain.operations import OperationAction
from chalicelib.engines.engine import MOST_CHAIN
from chalicelib.errors import BadRequest, Conflict, Forbidden, NotSupported
from chalicelib.status import BackupStatus

GIB: Final = 1024**3
CASCADE: Final = {"cascade": True}
"""The arguments of a deletion that takes along what builds on a backup."""
LOST: Final = "container_lost"
"""Among them: who asked for it was told by Swift that the container is not there any more."""
MAKING: Final = frozenset({OperationAction.CREATE_BACKUP, OperationAction.CREATE_SNAPSHOT})
"""The operations of an instance that make a backup, which is named among their arguments."""
FINAL: Final = {"final": True}
"""Among the arguments of a backup after which its instance is deleted."""
AFTER_FINAL: Final = {"after_final_backup": True}
"""The arguments of the delete that follows on it."""
PASSED: Final = "passed"
FAILED: Final = "failed"
VERDICTS: Final = (PASSED, FAILED)
"""Of a backup that was tried out."""
LEAST_BYTES_PER_SECOND: Final = 64 * 1024
"""A part of a backup then takes four minutes; with less, no store would wait for it."""


def bandwidth(chosen: int) -> int:
    """Bytes that a guest moves in a second at most, of those that a deployment has chosen; 0 is no
    limit."""
    return max(chosen, LEAST_BYTES_PER_SECOND) if chosen else 0


class Made(Protocol):
    """What of a backup its rules look at."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def instance_id(self) -> str: ...
    @property
    def parents(self) -> Sequence[str]: ...
    @property
    def manager(self) -> str: ...
    @property
    def datastore_version_number(self) -> str: ...
    @property
    def needs_gib(self) -> float | None: ...
    @property
    def is_snapshot(self) -> bool: ...
    @property
    def verdict(self) -> str | None: ...


class Copied(Protocol):
    """What of a backup, or of what its guest has told of it, its size follows from."""

    @property
    def data_size(self) -> float | None: ...
    @property
    def volume_used(self) -> float | None: ...


class Judged(Protocol):
    """What of it tells whether it is known to be damaged."""

    @property
    def id(self) -> str: ...
    @property
    def parents(self) -> Sequence[str]: ...
    @property
    def verdict(self) -> str | None: ...


J = TypeVar("J", bound=Judged)


class Measured(NamedTuple):
    """The same of one that has just been made: bytes, and GiB of its instance's volume."""

    data_size: float | None
    volume_used: float | None


class Source(Protocol):
    """What of an instance they look at."""

    @property
    def id(self) -> str: ...
    @property
    def datastore_version_number(self) -> str: ...
    @property
    def volume_size(self) -> float: ...


def is_final(action: str, arguments: Mapping[str, Any] | None) -> bool:
    """Whether an operation makes the last backup of an instance, which is deleted then."""
    return action == OperationAction.CREATE_BACKUP and (arguments or {}).items() >= FINAL.items()


def location(tenant_id: str, parents: Sequence[str], backup_id: str) -> str:
    """Where a backup's objects lie: with its chain, below the project's and the full backup's id,
    so that one prefix is all that a restore reads."""
    return f"{tenant_id}/{parents[0] if parents else backup_id}/{backup_id}"


def require_incremental(manager: str, datastore: str) -> None:
    """`NotSupported` (501) for an engine that cannot tell what has changed."""
    if not engines.ENGINES[manager].incremental_backups:
        raise NotSupported(f"The '{datastore}' datastore has no incremental backups.")


def require_snapshots(manager: str, datastore: str) -> None:
    """`NotSupported` (501) for an engine whose answers may not be on its volume yet."""
    if not engines.ENGINES[manager].snapshots:
        raise NotSupported(
            f"A snapshot of its volume is no backup of the '{datastore}' datastore, which has in "
            "its memory what it has answered: leave the 'storage_driver' out."
        )


def is_damaged(chain: Sequence[Judged]) -> bool:
    """Whether the last of a chain, the full one first, was tried out and is damaged; without a
    verdict of its own it is what the nearest is that it builds on."""
    return next((each.verdict for each in reversed(chain) if each.verdict), None) == FAILED


def chain_among(last: J, rows: Mapping[str, J]) -> list[J]:
    """The chain that ends with a backup, of those that are known by their ids."""
    return [*(rows[each] for each in last.parents if each in rows), last]


def require_parent(chain: Sequence[Made], source: Source) -> None:
    """Refuse a parent that the next backup of an instance cannot build on: the last of a chain."""
    parent = chain[-1]
    going = next((each for each in chain if each.status != BackupStatus.COMPLETED), None)
    if going is not None:  # a deletion with what builds on it comes to the last one by one
        raise Conflict(f"Backup {going.id} is {going.status} and cannot be built on.")
    if parent.is_snapshot:
        raise BadRequest(f"Backup {parent.id} is a snapshot, on which nothing builds.")
    if parent.instance_id != source.id:
        raise BadRequest(f"Backup {parent.id} is of another instance.")
    if parent.datastore_version_number != source.datastore_version_number:
        raise BadRequest(
            f"Backup {parent.id} is of version {parent.datastore_version_number}; the instance has "
            f"{source.datastore_version_number}: make a full backup."
        )
    if len(parent.parents) + 1 >= MOST_CHAIN:
        raise BadRequest(
            f"Backup {parent.id} is the last of {MOST_CHAIN} that build on each other: make a full "
            "backup."
        )
    if len(chain) <= len(parent.parents):
        raise Conflict(f"Of what backup {parent.id} builds on, a part is lost: make a full backup.")
    if is_damaged(chain):
        raise Conflict(
            f"Backup {parent.id} was tried out, or what it builds on, and is damaged: make a full "
            "backup."
        )
    if (parent.needs_gib or 0) > source.volume_size:
        raise BadRequest(
            f"Backup {parent.id}, with what it builds on, needs a volume of "
            f"{math.ceil(parent.needs_gib or 0)} GiB already, and that of the instance has "
            f"{int(source.volume_size)}: make a full backup."
        )


def can_build_on(chain: Sequence[Made], source: Source) -> bool:
    """Whether the next backup of an instance can build on the last of a chain."""
    try:
        require_parent(chain, source)
    except (BadRequest, Conflict):
        return False
    return True


def needs_gib(chain: Sequence[Copied]) -> float:
    """What a restore of the last of a chain needs of a volume, in GiB, the full backup being first.

    That is what its instance's volume had in use, at the most, or at least what was copied of it,
    PostgreSQL's log of meanwhile included; beside it lie all increments, until each is applied.
    """
    full, *increments = chain
    data = max(float(full.data_size or 0) / GIB, *(float(each.volume_used or 0) for each in chain))
    beside = sum(float(each.data_size or 0) for each in increments)
    return round(data + beside / GIB, 3)


def require_restorable(
    made: Made, needs_gib: float, manager: str, version_number: str, volume_gib: int
) -> None:
    """Refuse to begin an instance with a backup: as `require_readable`, and 403 for a volume that
    is too small, as in Trove."""
    require_readable(made, manager, version_number)
    needed = math.ceil(needs_gib)
    if needed > volume_gib:
        raise Forbidden(
            f"Backup is too large for given flavor or volume. Backup size: {needed} GBs. "
            f"Available size: {volume_gib} GBs."
        )


def require_readable(made: Made, manager: str, version_number: str) -> None:
    """Refuse a backup to an engine that cannot go on with it: 409 until it is complete, 400 for
    another engine or an older version."""
    if made.status != BackupStatus.COMPLETED:
        raise Conflict(f"Backup {made.id} is not complete: it is {made.status}.")
    engine = engines.ENGINES[made.manager]
    if engine is not engines.ENGINES[manager]:
        raise BadRequest(
            f"Backup {made.id} is of {engine.name}, which the datastore of the instance does not "
            "run."
        )
    before, after = map(engines.numbers_of, (made.datastore_version_number, version_number))
    if after < before or engines.series_of(manager, after) != engines.series_of(manager, before):
        raise BadRequest(
            f"Backup {made.id} is of version {made.datastore_version_number}: an instance of "
            f"version {version_number} cannot begin with it."
        )
