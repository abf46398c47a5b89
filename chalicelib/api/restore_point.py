"""What a create is to begin with: a backup, and the log behind it up to a moment or a position.

All is decided when it is accepted: what it replays leads to the head that the archive has then.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

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
Goal: TypeAlias = rules.Moment | rules.Position


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
        if point.time is not None or point.position is not None:
            raise BadRequest(
                "Validation error: instance['restorePoint'] has neither a 'backupRef' nor an "
                "'instance': a 'time' or a 'position' is one of them."
            )
        raise BadRequest(
            "Validation error: instance['restorePoint'] 'backupRef' is a required property"
        )
    begins = _begins_with(request, point, backup_id, instance_id)
    backup_places.require_there(request, begins.backup)
    return begins


def _begins_with(
    request: Request, point: RestorePoint, backup_id: str | None, instance_id: str | None
) -> Begins:
    if point.time is None and point.position is None:
        if backup_id is None or instance_id is not None:
            raise BadRequest(
                "Validation error: instance['restorePoint'] has no 'time', and no 'position'"
            )
        return Begins(backups.get_backup(backup_id, request.context.project_id))
    if backup_id is not None and instance_id is not None:
        raise BadRequest(
            "Validation error: instance['restorePoint'] has either a 'backupRef' or an 'instance'"
        )
    goal, tenant_id = _goal(point), request.context.project_id
    if backup_id is not None:
        return _behind(backups.get_backup(backup_id, tenant_id), goal)
    assert instance_id is not None
    policy.authorize(request.context, "instance:archives", tenant_id)
    return _of_instance(instance_id, tenant_id, goal)


def _goal(point: RestorePoint) -> Goal:
    if point.time is None:
        assert point.position is not None
        return rules.Position(point.position.strip())
    if point.position is not None:
        raise BadRequest(
            "Validation error: instance['restorePoint'] has either a 'time' or a 'position'"
        )
    return rules.Moment(rules.moment(point.time))


def _behind(backup: Backup, goal: Goal) -> Begins:
    row = archives.find_archive(backup.archive_id) if backup.archive_id is not None else None
    found = [row] if row is not None and row.tenant_id == backup.tenant_id else []
    _require_named_well(goal, [backup])
    base, archive = rules.base_for(goal, [backup], found, f"Backup {backup.id}")
    return _begins(base, archive, goal)


def _require_named_well(goal: Goal, made: list[Backup]) -> None:
    """`BadRequest` for a position of another engine."""
    if isinstance(goal, rules.Position) and made:
        goal.written(made[0].manager)


def _of_instance(instance_id: str, tenant_id: str, goal: Goal) -> Begins:
    """Of an instance that may be gone."""
    found = [row for row in archives.of_instance(instance_id) if row.tenant_id == tenant_id]
    if not found:
        raise NotFound(
            f"Instance {instance_id} has no archive of its log: 'point_in_time' of a backup "
            "schedule has one begun."
        )
    made = backups.all_of(instance_id)
    _require_named_well(goal, made)
    bases = _made_sure(made, goal)
    # Those that bases have: of a log that breaks again and again, the newest may have none.
    named = archives.find_archives({row.archive_id for row in bases if row.archive_id})
    sure = [row for row in named.values() if row.tenant_id == tenant_id]
    base, archive = rules.base_for(goal, bases, sure, f"Instance {instance_id}")
    return _begins(base, archive, goal)


def _made_sure(made: list[Backup], goal: Goal) -> list[Backup]:
    """The bases among an instance's backups, newest first; those that it may be restored from
    as they are now, as the index may be late. What is chosen the acceptance looks at once more."""
    bases = [row for row in made if row.archive_id is not None]
    before = [row.id for row in bases if goal.begins_with(row)]
    sure = {row.id: row for row in backups.find_backups(before[:MOST_MADE_SURE])}
    return [sure.get(row.id, row) for row in bases]


def _begins(base: Backup, archive: Archive, goal: Goal) -> Begins:
    if isinstance(goal, rules.Moment):
        target_ms, position = rules.told_apart(goal.ms, base.manager), ""
    else:
        target_ms, position = int(archive.until_ms or 0), goal.written(base.manager)
        reached = rules.place_of(base.reached_position, base.manager)
        if rules.place_of(position, base.manager) == reached:
            return Begins(base)  # which is that one
    return Begins(
        base,
        arguments.LogToReplay(
            archive=archive.id,
            location=archive.location,
            behind=int(base.archive_number or 0),
            number=int(archive.number),
            sha256=archive.sha256,
            position=base.log_position or "",
            target_ms=target_ms,
            behind_sha256=base.archive_sha256,
            target_position=position,
        ),
    )
