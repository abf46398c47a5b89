"""Backups: list, show, delete. Codes and names are Trove's, a delete of a parent is not.

Making one (`making_backups`) is an operation of its instance, whose status says BACKUP; deleting is
one of the backup.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chalicelib import lifecycle
from chalicelib.api import accepting, backup_places, making_backups, planning, verifying_backups
from chalicelib.api.backup_view import BUSY, BackupList, OneBackup, backup_of, view_of, views_of
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.listing import LONGEST, Short
from chalicelib.api.paging import Paged, limit_of, marker_of
from chalicelib.api.schema import Query, flag_of
from chalicelib.auth import policy
from chalicelib.bus import queues
from chalicelib.domain import backups as rules
from chalicelib.domain.flows import DELETE_BACKUP
from chalicelib.errors import BadRequest, Conflict, NotFound, Unprocessable
from chalicelib.settings import API_VERSION
from chalicelib.status import BackupStatus
from chalicelib.store import accepting as transactions
from chalicelib.store import backups as store
from chalicelib.store import listing_backups as lists
from chalicelib.store.base import Contended, races
from chalicelib.store.models import Backup
from chalicelib.store.operations import operation_of

PROJECT: Final = f"/{API_VERSION}/{{project}}"
PATH: Final = f"{PROJECT}/backups"
MOST_LISTED: Final = 500
"""On a page, for who asks for so many; as in Trove its default does not bound it."""
BEHIND: Final = "@"
"""In a marker of a list of one instance, between the last backup and that."""


class Chosen(Paged, frozen=True):
    """Which backups a list has; those of other projects are shown to administrators alone."""

    instance_id: Short | None = None
    datastore: Short | None = None
    project_id: Short | None = None
    all_projects: bool | None = None


class Cascade(Query, frozen=True):
    """Whether what builds on a backup goes with it."""

    cascade: bool | None = None


def index(request: Request) -> Response:
    """The backups of the project, a page of them; an administrator's may be of others."""
    query, context = request.query, request.context
    for name in ("instance_id", "datastore", "project_id"):
        if len(query.get(name, "")) > LONGEST:
            raise BadRequest(f"The '{name}' is too long.")
    everybody = flag_of(query, "all_projects")
    project_id = query.get("project_id", None if everybody else context.project_id)
    if everybody or project_id != context.project_id:
        policy.authorize(context, "backup:index:all_projects", context.project_id)
    datastore = query.get("datastore")

    def fits(row: Backup) -> bool:
        return datastore in (None, row.datastore_name)

    limit, (marker, instance_id) = limit_of(query, MOST_LISTED), _place_of(query)
    if instance_id is not None:
        found = lists.of_instance(instance_id, limit, marker, fits, project_id)
        return _listed(request, found, f"{BEHIND}{instance_id}")
    if project_id is not None:
        return _listed(request, lists.of_tenant(project_id, limit, marker, fits))
    return _listed(request, lists.of_everybody(limit, marker, fits))


def _place_of(query: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Behind which backup a page begins, and of which instance it is: the client of Trove names
    the instance for the first page alone."""
    last, _, instance_id = (marker_of(query) or "").partition(BEHIND)
    return last or None, query.get("instance_id", instance_id or None)


def of_instance(request: Request) -> Response:
    """The backups of an instance, newest first, a page of them."""
    row, query = instance_of(request), request.query
    limit = limit_of(query, MOST_LISTED)
    return _listed(request, lists.of_instance(row.id, limit, marker_of(query)))


def _listed(request: Request, found: lists.Page, of: str = "") -> Response:
    marker = found.marker + of if found.marker is not None else None
    return Response(200, BackupList(views_of(found.rows), request.place.next_page(marker)))


def show(request: Request) -> Response:
    """A backup."""
    return Response(200, OneBackup(view_of(backup_of(request))))


def delete(request: Request) -> Response:
    """Delete a backup that no other one builds on (409) which is not being deleted itself; or with
    `cascade` those too."""
    cascade = flag_of(request.query, "cascade")
    if request.dry_run:
        return _planned_delete(backup_of(request), cascade=cascade)
    for _ in races():
        row = backup_of(request)
        if row.operation_id is not None:
            return Response(202)
        going = _require_deletable(row, cascade=cascade)
        arguments = (rules.CASCADE if cascade else {}) | (
            {rules.LOST: True} if backup_places.is_lost(request, row) else {}
        )
        operation = operation_of(
            row, DELETE_BACKUP, arguments=arguments or None, asked=request.asked
        )
        reply = Response(202)
        claim, beside = request.keeping(reply), store.still_going(going)
        clauses = ("children", "readers")
        if transactions.accept(row, operation, decided_by=clauses, beside=beside, claim=claim):
            queues.notify_task_manager(operation.id)
            return reply
    raise Contended(BUSY)


def _require_deletable(row: Backup, *, cascade: bool) -> list[Backup]:
    """Refuse what cannot be deleted; those that build on it and are being deleted, if it is to go
    behind them."""
    if row.status in lifecycle.UNFINISHED:
        raise Unprocessable(
            f"Backup {row.id} is being made; delete it when that has ended, or cancel the "
            "operation of its instance."
        )
    if row.status not in DELETE_BACKUP.sources:
        raise Unprocessable(
            f"Backup {row.id} is {row.status}, and nobody is at it: the tables were restored, and "
            "are not put right yet."
        )
    if store.read_now([row, *(store.below(row) if cascade else ())]):
        raise Conflict(
            f"Backup {row.id} cannot be deleted: an instance is being made of it, or it is being "
            "verified. Delete it when that has ended."
        )
    going = [] if cascade else store.going_below(row)
    if going is None:
        raise Conflict(
            f"Backup {row.id} cannot be deleted: {int(row.children)} incremental backups build on "
            "it. Delete those first, or with it (?cascade=true)."
        )
    return going


def _planned_delete(row: Backup, *, cascade: bool) -> Response:
    """What would go, with what builds on it: those that go already give their room back then."""

    def decide() -> tuple[Any, dict[str, int]]:
        _require_deletable(row, cascade=cascade)
        if not cascade:
            return None, {}
        along = [each for each in store.below(row) if each.status != BackupStatus.DELETING]
        freed = sum(int(each.held.get("backups", 0)) for each in along)
        return {"along": [each.id for each in along]}, {"backups": -freed}

    return planning.plan(row, DELETE_BACKUP, decide, behind=row.operation_id)


ROUTES: Final = (
    Route("GET", PATH, index, "backup:index", query=Chosen, answers=BackupList),
    Route(
        "POST",
        PATH,
        making_backups.create,
        "backup:create",
        plans=True,
        reads=making_backups.NewBackup,
        answers=OneBackup,
        status=202,
        refuses=(NotFound, *accepting.REFUSALS),
        follow=True,
    ),
    Route("GET", f"{PATH}/{{backup}}", show, "backup:show", answers=OneBackup),
    Route(
        "DELETE",
        f"{PATH}/{{backup}}",
        delete,
        "backup:delete",
        plans=True,
        query=Cascade,
        status=202,
        refuses=accepting.REFUSALS,
    ),
    Route(
        "POST",
        f"{PATH}/{{backup}}/action",
        verifying_backups.act,
        "backup:verify",
        plans=True,
        reads=verifying_backups.BackupAction,
        status=202,
        refuses=accepting.REFUSALS,
        follow=True,
    ),
    Route(
        "GET",
        f"{PROJECT}/instances/{{instance}}/backups",
        of_instance,
        "instance:backups",
        query=Paged,
        answers=BackupList,
    ),
)
