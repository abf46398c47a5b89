"""A backup as clients see it, and the one in a path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from chalicelib.api import backup_places
from chalicelib.api.backup_places import DRIVERS, S3
from chalicelib.api.frame import Request
from chalicelib.api.links import Next
from chalicelib.api.response import View, one_of
from chalicelib.api.times import Naive, naive
from chalicelib.domain import backups as rules
from chalicelib.status import BackupStatus
from chalicelib.store import backups as store
from chalicelib.store.models import Backup

BUSY: Final = "The backup is being changed by others at the moment; try again."
RESTORED: Final = "RESTORED"
"""What clients see for COMPLETED of a backup that was imported, as in Trove."""
STATUSES: Final = one_of(
    [*(each for each in BackupStatus if each is not BackupStatus.DELETED), RESTORED]
)


class BackupDatastore(View, frozen=True):
    """What a backup is of."""

    type: str
    version: str
    version_id: str


class BackupFault(View, frozen=True):
    """Why a backup failed, or was not deleted."""

    message: str
    created: Naive


class BackupView(View, frozen=True, kw_only=True):
    """A backup; `size` is in GiB what a restore needs of a volume, with all that it builds on.

    `stored_bytes` lie in the object store (a snapshot has none there), and `checksum` is the
    SHA-256 of what describes them.
    `verdict` is what came of it when it was tried out last.
    """

    id: str
    name: str
    description: str | None
    instance_id: str | None
    project_id: str
    parent_id: str | None
    created: Naive
    updated: Naive
    status: Annotated[str, STATUSES]
    size: float | None
    locationRef: str | None  # noqa: N815 - Trove's name
    datastore: BackupDatastore
    stored_bytes: int | None = None
    checksum: str | None = None
    children: int = 0
    storage_driver: Annotated[str, one_of(DRIVERS)] = S3
    swift_container: str | None = None
    verified_at: Naive | None = None
    verdict: Annotated[str, one_of(rules.VERDICTS)] | None = None
    verdict_reason: str | None = None
    fault: BackupFault | None = None


class BackupList(View, frozen=True):
    """A page of backups."""

    backups: list[BackupView]
    links: Next = msgspec.UNSET


class OneBackup(View, frozen=True):
    """One backup."""

    backup: BackupView


def backup_of(request: Request) -> Backup:
    """The backup in the path, if the caller may see it; `NotFound` otherwise."""
    found = store.get_backup(request.id_of("backup"), request.context.visible_tenant)
    request.audit.owner_id = found.tenant_id if request.audit.audit else None
    return found


def shown_status(row: Backup) -> str:
    """A backup's status as clients see it."""
    taken_in = row.imported is not None and row.status == BackupStatus.COMPLETED
    return RESTORED if taken_in else str(row.status)


def view_of(row: Backup) -> BackupView:
    """A backup as it is shown."""
    return views_of([row])[0]


def views_of(rows: Sequence[Backup]) -> list[BackupView]:
    """The same of several."""
    needs = store.needs_of(row for row in rows if _is_complete(row))
    return [_view_of(row, needs.get(row.id)) for row in rows]


def _is_complete(row: Backup) -> bool:
    return row.checksum is not None or row.snapshot_id is not None


def _view_of(row: Backup, needs_gib: float | None) -> BackupView:
    fault = None
    if row.fault_message:
        fault = BackupFault(row.fault_message, naive(row.fault_created or row.updated))
    container = store.container_of(row)
    return BackupView(
        id=row.id,
        name=row.name,
        description=row.description,
        instance_id=row.instance_id or None,
        project_id=row.tenant_id,
        parent_id=row.parent_id,
        created=naive(row.created),
        updated=naive(row.updated),
        status=shown_status(row),
        size=needs_gib,
        locationRef=backup_places.shown(row) if _is_complete(row) else None,
        datastore=BackupDatastore(
            row.datastore_name, row.datastore_version, row.datastore_version_id
        ),
        stored_bytes=int(row.size) if row.size is not None else None,
        checksum=row.checksum,
        children=int(row.children),
        storage_driver=backup_places.driver_of(row),
        swift_container=container.name if container is not None else None,
        verified_at=naive(row.verified_at) if row.verified_at is not None else None,
        verdict=row.verdict,
        verdict_reason=row.verdict_reason,
        fault=fault,
    )
