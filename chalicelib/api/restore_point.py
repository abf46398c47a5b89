"""What a create is to begin with: a backup, and the log behind it up to a moment.

All is decided when it is accepted: what it replays leads to the head that the archive has then.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from chalicelib.api import backup_places
from chalicelib.api.frame import Request
from chalicelib.api.instance_body import RestorePoint
from chalicelib.auth import policy
from chalicelib.bus.contract import arguments
from chalicelib.domain import archives as rules
from chalicelib.errors import BadRequest, NotFound
from chalicelib.store import archives, backups
from chalicelib.store.models import Archive, Backup

MOST_MADE_SURE: Final = 100
"""Bases before a moment, of which nearly always the first is taken."""


class Begins(NamedTuple):
    """The backup, and what is replayed behind it."""

    backup: Backup
    log: arguments.LogToReplay | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """What the operation keeps of it."""
        if self.log is None:
            return {"backup": self.backup.id}
        return {"backup": self.backup.id, "log": msgspec.to_builtins(self.log)}


def chosen(request: Request, point: RestorePoint | None) -> Begins | None:
    """What a body asks for, of the caller's project; None without anything.

    Raises `NotFound`, and `BadRequest` with what is possible for a moment that is not.
    """
    if point is None:
        return None
    backup_id, instance_id = point.backup_id, point.instance_id
    if backup_id is None and instance_id is None:
        raise BadRequest(
            "Validation error: instance['restorePoint'] 'backupRef' is a required property"
        )
    begins = _begins_with(request, point, backup_id, instance_id)
    backup_places.require_there(request, begins.backup)
    return begins


def _begins_with(
    request: Request, point: RestorePoint, backup_id: str | None, instance_id: str | None
) -> Begins:
    if point.time is None:
        if backup_id is None or instance_id is not None:
            raise BadRequest("Validation error: instance['restorePoint'] has no 'time'")
        return Begins(backups.get_backup(backup_id, request.context.project_id))
    if backup_id is not None and instance_id is not None:
        raise BadRequest(
            "Validation error: instance['restorePoint'] has either a 'backupRef' or an 'instance'"
        )
    target_ms, tenant_id = rules.moment(point.time), request.context.project_id
    if backup_id is not None:
        return _behind(backups.get_backup(backup_id, tenant_id), target_ms)
    assert instance_id is not None
    policy.authorize(request.context, "instance:archives", tenant_id)
    return _of_instance(instance_id, tenant_id, target_ms)


def _behind(backup: Backup, target_ms: int) -> Begins:
    row = archives.find_archive(backup.archive_id) if backup.archive_id is not None else None
    found = [row] if row is not None and row.tenant_id == backup.tenant_id else []
    base, archive = rules.base_for(target_ms, [backup], found, f"Backup {backup.id}")
    return _begins(base, archive, target_ms)


def _of_instance(instance_id: str, tenant_id: str, target_ms: int) -> Begins:
    """Of an instance that may be gone."""
    found = [row for row in archives.of_instance(instance_id) if row.tenant_id == tenant_id]
    if not found:
        raise NotFound(f"Instance {instance_id} has no archive of its log.")
    bases = _made_sure(backups.all_of(instance_id), target_ms)
    # Those that bases have: of a log that breaks again and again, the newest may have none.
    named = archives.find_archives({row.archive_id for row in bases if row.archive_id})
    sure = [row for row in named.values() if row.tenant_id == tenant_id]
    base, archive = rules.base_for(target_ms, bases, sure, f"Instance {instance_id}")
    return _begins(base, archive, target_ms)


def _made_sure(made: list[Backup], target_ms: int) -> list[Backup]:
    """The bases among an instance's backups, newest first; those that a moment may be restored from
    as they are now, as the index may be late. What is chosen the acceptance looks at once more."""
    bases = [row for row in made if row.archive_id is not None]
    before = [row.id for row in bases if row.reached_ms is not None and row.reached_ms <= target_ms]
    sure = {row.id: row for row in backups.find_backups(before[:MOST_MADE_SURE])}
    return [sure.get(row.id, row) for row in bases]


def _begins(base: Backup, archive: Archive, target_ms: int) -> Begins:
    return Begins(
        base,
        arguments.LogToReplay(
            archive=archive.id,
            location=archive.location,
            behind=int(base.archive_number or 0),
            number=int(archive.number),
            sha256=archive.sha256,
            position=base.log_position or "",
            target_ms=rules.told_apart(target_ms, base.manager),
            behind_sha256=base.archive_sha256,
        ),
    )
