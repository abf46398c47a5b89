"""A delete that makes a last backup first: an ordinary one, whose end begins the delete.

    DELETE …?final_backup=true ──▶ backup ──▶ COMPLETED: the delete, by the same transaction
                                      └ failed, cancelled ──▶ the instance stays, and says why

A delete without it calls the backup back, and goes on alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chalicelib.api import accepting, backup_places
from chalicelib.api.accepting import Wanted
from chalicelib.api.frame import Request, Response
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.labels import require_unprotected
from chalicelib.api.making_backups import making
from chalicelib.api.schema import Name, Query, flag_of
from chalicelib.auth import policy
from chalicelib.bus.ability import require_heard
from chalicelib.domain import backups as rules
from chalicelib.domain.flows import CREATE_BACKUP
from chalicelib.errors import BadRequest, Unprocessable
from chalicelib.status import Status
from chalicelib.store import making_backups
from chalicelib.store.models import Instance
from chalicelib.store.operations import get_operation

LONGEST_NAME: Final = 255


class FinalBackup(Query, frozen=True):
    """Whether a delete makes a full backup first, and that one's name."""

    final_backup: bool | None = None
    backup_name: Name | None = None


def is_wanted(query: Mapping[str, str]) -> bool:
    """Whether the query of a delete asks for it; `BadRequest` for a name without."""
    wanted = flag_of(query, "final_backup")
    if "backup_name" in query and not wanted:
        raise BadRequest("A 'backup_name' is that of a 'final_backup', which is not asked for.")
    return wanted


def accept(request: Request) -> Response:
    """Accept the backup; one that is under way already is that which was asked for, unless it goes
    back: no delete follows on that one."""
    name = request.query.get("backup_name", "")
    if len(name) > LONGEST_NAME:
        raise BadRequest("The 'backup_name' is too long.")
    if under_way := _under_way(request):
        return under_way
    try:
        return _accept(request, name)
    except Unprocessable:
        # What speaks against it may be the same, asked for by somebody who was faster since.
        if under_way := _under_way(request):
            return under_way
        raise


def _under_way(request: Request) -> Response | None:
    """The answer where the last backup is being made, or the delete that follows on it; None where
    neither is. Raises `Unprocessable` for a delete without one."""
    row = instance_of(request)
    policy.authorize(request.context, "backup:create", row.tenant_id)
    live = get_operation(row.operation_id) if row.operation_id is not None else None
    goes = live is not None and not (live.cancelled or live.compensating)
    final = goes and live is not None and rules.is_final(live.action, live.arguments)
    follows = live is not None and live.arguments == rules.AFTER_FINAL
    if row.status == Status.SHUTDOWN and not follows:
        raise Unprocessable(f"Instance {row.id} is being deleted, without a last backup.")
    if request.dry_run or not (final or follows):
        return None
    return accepting.accepted(request, row.id, row.next_operation_id or row.operation_id)


def _accept(request: Request, name: str) -> Response:
    def wanted(row: Instance) -> Wanted:
        require_unprotected(row)
        require_heard(row)
        place = backup_places.container_of(request, row, None, None, None)
        backup = making_backups.new_backup(row, name or f"{row.name[:200]}-final", container=place)
        asked = making(backup)
        return Wanted(
            arguments={**(asked.arguments or {}), **rules.FINAL},
            decided_by=(*asked.decided_by, "protected"),
            beside=asked.beside,
        )

    return accepting.accept(request, CREATE_BACKUP, wanted)
