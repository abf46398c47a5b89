"""Backups: list, show, create, delete. Codes and names are Trove's, a delete of a parent is not.

Making one is an operation of its instance, whose status says BACKUP; deleting is one of the backup.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec

from chalicelib import lifecycle
from chalicelib.api import accepting, backup_places, importing, planning
from chalicelib.api.accepting import Wanted
from chalicelib.api.backup_places import CINDER, DRIVERS, S3, ContainerName
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.importing import RestoreFrom
from chalicelib.api.links import Next
from chalicelib.api.listing import LONGEST, Short
from chalicelib.api.paging import Paged, limit_of, marker_of
from chalicelib.api.response import LOCATION_HEADER, RETRY_AFTER_HEADER, View, one_of
from chalicelib.api.schema import (
    Body,
    Examples,
    Given,
    Name,
    Query,
    Reference,
    Text,
    flag_of,
    id_at_end,
)
from chalicelib.api.times import Naive, naive
from chalicelib.auth import policy
from chalicelib.bus import queues
from chalicelib.bus.ability import require_heard
from chalicelib.domain import backups as rules
from chalicelib.domain.flows import CREATE_BACKUP, CREATE_SNAPSHOT, DELETE_BACKUP, VERIFY_BACKUP
from chalicelib.errors import BadRequest, Conflict, NotFound, NotSupported, Unprocessable
from chalicelib.settings import API_VERSION
from chalicelib.status import BackupStatus, Status
from chalicelib.store import accepting as transactions
from chalicelib.store import backups as store
from chalicelib.store import instances
from chalicelib.store.base import Contended, races
from chalicelib.store.models import Backup, Instance, Operation
from chalicelib.store.operations import operation_of

PROJECT: Final = f"/{API_VERSION}/{{project}}"
PATH: Final = f"{PROJECT}/backups"
BUSY: Final = "The backup is being changed by others at the moment; try again."
RESTORED: Final = "RESTORED"
"""What clients see for COMPLETED of a backup that was imported, as in Trove."""
STATUSES: Final = one_of(
    [*(each for each in BackupStatus if each is not BackupStatus.DELETED), RESTORED]
)
OF_ANOTHER: Final = {"instance", "parent_id", "swift_container", "storage_driver"}
"""What a backup that is imported has not: it is made, and lies where it lies."""


class BackupBody(Body, frozen=True):
    """A backup of an instance, on top of the parent that is named, or of its newest (incremental).

    It goes to the `swift_container`, or to where what it builds on lies, or to that of a strategy,
    or to the deployment's own store. With the `storage_driver` cinder it is a snapshot of the
    volume, which is always a full one. With `restore_from` nothing is made: a backup that Trove
    has made is taken in as it lies in the project's own Swift.
    """

    name: Name
    instance: Reference | None = None
    description: Text | None = None
    parent_id: Given | None = None
    incremental: bool | int | str | None = None

    swift_container: ContainerName | None = None
    storage_driver: Text | None = None
    restore_from: RestoreFrom | None = None


class NewBackup(Body, frozen=True):
    """A backup to make."""

    EXAMPLES: ClassVar[Examples] = (
        {
            "backup": {
                "name": "before-the-sale",
                "instance": "41c17c74-6146-4d87-b45c-4c23c3a89f15",
                "description": "All of the shop",
                "incremental": 0,
            }
        },
        {
            "backup": {
                "name": "from-trove",
                "restore_from": {
                    "remote_location": "https://swift.example.org/v1/AUTH_d5f1/database_backups/"
                    "1f2d1f0e-0d4c-4b57-9d39-0c1cbb1b6f0a.xbstream.gz",
                    "local_datastore_version_id": "8f2d1f0e-0d4c-4b57-9d39-0c1cbb1b6f0a",
                    "size": 1.2,
                },
            }
        },
    )

    backup: BackupBody


class VerifyBody(Body, frozen=True):
    """Have a backup tried out; there is nothing to choose."""


class BackupAction(Body, frozen=True):
    """What is to be done with a backup."""

    EXAMPLES: ClassVar[Examples] = ({"verify": {}},)

    verify: VerifyBody


class Chosen(Paged, frozen=True):
    """Which backups a list has; those of other projects are shown to administrators alone."""

    instance_id: Short | None = None
    datastore: Short | None = None
    project_id: Short | None = None
    all_projects: bool | None = None


class Cascade(Query, frozen=True):
    """Whether what builds on a backup goes with it."""

    cascade: bool | None = None


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
    """A backup; `size` is in GiB of the instance's volume, what a restore needs of one.

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


def index(request: Request) -> Response:
    """The backups of the project, a page of them; an administrator's may be of others."""
    query, context = request.query, request.context
    limit, marker = limit_of(query), marker_of(query)
    for name in ("instance_id", "datastore", "project_id"):
        if len(query.get(name, "")) > LONGEST:
            raise BadRequest(f"The '{name}' is too long.")
    everybody = flag_of(query, "all_projects")
    project_id = query.get("project_id", context.project_id)
    if everybody or project_id != context.project_id:
        policy.authorize(context, "backup:index:all_projects", context.project_id)

    def fits(row: Backup) -> bool:
        wanted = {
            "instance_id": row.instance_id,
            "datastore": row.datastore_name,
            "project_id": row.tenant_id,
        }
        return all(query.get(name) in (None, value) for name, value in wanted.items())

    found = (
        store.of_everybody(limit, marker, fits)
        if everybody
        else store.of_tenant(project_id, limit, marker, fits)
    )
    return _listed(request, found)


def of_instance(request: Request) -> Response:
    """The backups of an instance, newest first, a page of them."""
    row = instance_of(request)
    query = request.query
    return _listed(request, store.of_instance(row.id, limit_of(query), marker_of(query)))


def _listed(request: Request, found: store.Page) -> Response:
    views = [_view(row) for row in found.rows]
    return Response(200, BackupList(views, request.place.next_page(found.marker)))


def show(request: Request) -> Response:
    """A backup."""
    return Response(200, OneBackup(_view(backup_of(request))))


def create(request: Request) -> Response:
    """Back up an instance: accepted means durable, and the instance is in BACKUP."""
    asked = request.json(NewBackup).backup
    if asked.restore_from is not None:
        return _import(request, asked, asked.restore_from)
    if not asked.instance:
        raise BadRequest("Validation error: backup 'instance' is a required property")
    instance_id = id_at_end(asked.instance)
    is_snapshot = asked.storage_driver == CINDER
    made: dict[str, Backup] = {}

    def row_of(asking: Request) -> Instance:
        row = instances.get_instance(instance_id, asking.context.visible_tenant)
        asking.audit.of_instance(row.id, row.tenant_id)
        return row

    def wanted(row: Instance) -> Wanted:
        made["backup"] = (snapshot_of if is_snapshot else copy_of)(row)
        return making(made["backup"])

    def copy_of(row: Instance) -> Backup:
        require_heard(row)
        place = asked.swift_container, asked.storage_driver
        backup_places.name_of(*place)
        parent = _parent(row, asked)
        container = backup_places.container_of(request, row, *place, parent)
        return store.new_backup(
            row, asked.name, asked.description, parent=parent, container=container
        )

    def snapshot_of(row: Instance) -> Backup:
        builds_on = asked.parent_id is not None or _is_incremental(asked)
        volume_id = backup_places.volume_of(row, asked.swift_container, builds_on=builds_on)
        return store.new_backup(row, asked.name, asked.description, volume_id=volume_id)

    def answer(_: Operation) -> Response:
        headers = {
            LOCATION_HEADER: request.place.url("backups", made["backup"].id),
            RETRY_AFTER_HEADER: str(accepting.RETRY_AFTER_SECONDS),
        }
        return Response(202, OneBackup(_view(made["backup"])), headers)

    flow = CREATE_SNAPSHOT if is_snapshot else CREATE_BACKUP
    return accepting.accept(request, flow, wanted, row_of=row_of, answer=answer)


def making(backup: Backup) -> Wanted:
    """What an instance is asked for that makes this backup, whose row is not stored yet."""
    arguments = {"backup": backup.id, "name": backup.name, "parent": backup.parent_id}
    return Wanted(arguments=arguments, decided_by=("generation",), beside=store.making(backup))


def _import(request: Request, asked: BackupBody, place: RestoreFrom) -> Response:
    """Take in a backup that lies in the project's own Swift: it is complete at once."""
    if any(getattr(asked, name) is not None for name in OF_ANOTHER):
        raise BadRequest(
            "A backup that is imported ('restore_from') has neither an 'instance' nor a parent, "
            "and no place but its own."
        )
    if request.dry_run:
        raise BadRequest("An import cannot be tried with 'dry_run'; nothing was done.")
    for _ in races():
        row = importing.imported(request, asked.name, asked.description, place)
        headers = {LOCATION_HEADER: request.place.url("backups", row.id)}
        reply = Response(202, OneBackup(_view(row)), headers)
        if store.take_in(row, request.asked, request.keeping(reply)):
            return reply
        request.catalog.forget()  # the version was deleted meanwhile
    raise Contended(BUSY)


def _parent(row: Instance, asked: BackupBody) -> Backup | None:
    """What the backup is to build on: the one that is named, or the newest (if there is one, and it
    lies where the backup is said to go: a chain lies in one place)."""
    place = asked.swift_container, asked.storage_driver
    if asked.parent_id:
        rules.require_incremental(row.manager, row.datastore_name)
        parent = store.get_backup(asked.parent_id, row.tenant_id)
        rules.require_parent(parent, row)
        backup_places.require_same(parent, *place)
        return parent
    if not _is_incremental(asked):
        return None
    rules.require_incremental(row.manager, row.datastore_name)
    newest = store.newest_complete(row.id)
    if newest is None or not rules.can_build_on(newest, row):
        return None
    elsewhere = backup_places.is_named(*place) and not backup_places.lies_in(
        newest, backup_places.name_of(*place)
    )
    return None if elsewhere else newest


def _is_incremental(asked: BackupBody) -> bool:
    return str(asked.incremental).lower() in ("1", "true")


def delete(request: Request) -> Response:
    """Delete a backup that no other one builds on (409), or with `cascade` those too."""
    cascade = flag_of(request.query, "cascade")
    if request.dry_run:
        return _planned_delete(backup_of(request), cascade=cascade)
    for _ in races():
        row = backup_of(request)
        if row.operation_id is not None:
            return Response(202)
        _require_deletable(row, cascade=cascade)
        arguments = (rules.CASCADE if cascade else {}) | (
            {rules.LOST: True} if backup_places.is_lost(request, row) else {}
        )
        operation = operation_of(
            row, DELETE_BACKUP, arguments=arguments or None, asked=request.asked
        )
        reply = Response(202)
        claim = request.keeping(reply)
        if transactions.accept(row, operation, decided_by=("children", "readers"), claim=claim):
            queues.notify_task_manager(operation.id)
            return reply
    raise Contended(BUSY)


def _require_deletable(row: Backup, *, cascade: bool) -> None:
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
    if row.children and not cascade:
        raise Conflict(
            f"Backup {row.id} cannot be deleted: {int(row.children)} incremental backups build on "
            "it. Delete those first, or with it (?cascade=true)."
        )


def _planned_delete(row: Backup, *, cascade: bool) -> Response:
    def decide() -> tuple[Any, dict[str, int]]:
        _require_deletable(row, cascade=cascade)
        return None, {}

    return planning.plan(row, DELETE_BACKUP, decide, behind=row.operation_id)


def act(request: Request) -> Response:
    """Have a backup tried out beside the database of its instance, which goes on."""
    request.json(BackupAction)
    request.audit.action = "verify"
    backup = backup_of(request)

    def wanted(row: Instance) -> Wanted:
        return rules_of_trial(row, backup)

    def row_of(_: Request) -> Instance:
        return _source_of(backup)

    return accepting.accept(request, VERIFY_BACKUP, wanted, row_of=row_of)


def _source_of(backup: Backup) -> Instance:
    if backup.imported is not None:
        raise NotSupported(
            f"Backup {backup.id} was imported, and has no instance to try it out: restore it to a "
            "new one."
        )
    row = instances.find_instance(backup.instance_id)
    if row is None or row.status == Status.DELETED:
        raise Unprocessable(
            f"The instance of backup {backup.id} is gone, which would try it out: restore the "
            "backup to a new instance."
        )
    return row


def rules_of_trial(row: Instance, backup: Backup) -> Wanted:
    """What an instance is asked for that tries out one of its backups."""
    if backup.is_snapshot:
        raise NotSupported(
            f"Backup {backup.id} is a snapshot, which lies on no volume that its instance could "
            "read: restore it to a new instance."
        )
    require_heard(row)
    rules.require_readable(backup, row.manager, row.datastore_version_number)
    return Wanted(arguments={"backup": backup.id}, decided_by=("generation",))


def shown_status(row: Backup) -> str:
    """A backup's status as clients see it."""
    taken_in = row.imported is not None and row.status == BackupStatus.COMPLETED
    return RESTORED if taken_in else str(row.status)


def _view(row: Backup) -> BackupView:
    fault = None
    if row.fault_message:
        fault = BackupFault(row.fault_message, naive(row.fault_created or row.updated))
    complete = row.checksum is not None or row.snapshot_id is not None
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
        size=rules.size_gib(row) if complete else None,
        locationRef=backup_places.shown(row) if complete else None,
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


ROUTES: Final = (
    Route("GET", PATH, index, "backup:index", query=Chosen, answers=BackupList),
    Route(
        "POST",
        PATH,
        create,
        "backup:create",
        plans=True,
        reads=NewBackup,
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
        act,
        "backup:verify",
        plans=True,
        reads=BackupAction,
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
