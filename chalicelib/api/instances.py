"""Instances: list, show, create, rename, delete. Reads come from the tables alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec

from chalicelib import aws, lifecycle
from chalicelib.api import (
    accepting,
    access,
    attaching,
    final_backups,
    instance_view,
    planning,
    restore_point,
    upgrading,
)
from chalicelib.api.access import AccessBody
from chalicelib.api.choices import (
    choose_flavor,
    choose_version,
    require_flavor,
    require_volume_type,
)
from chalicelib.api.final_backups import FinalBackup
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.instance_body import (
    DatastoreBody,
    InstanceBody,
    NewInstance,
    contents_asked,
    initial_contents,
    require_supported,
)
from chalicelib.api.instance_view import InstanceDetailList, InstanceList, OneInstance
from chalicelib.api.labels import Tags, noted, protect, require_unprotected
from chalicelib.api.links import Next
from chalicelib.api.listing import Listed, filter_of, order_of
from chalicelib.api.paging import limit_of, marker_of
from chalicelib.api.response import LOCATION_HEADER, RETRY_AFTER_HEADER
from chalicelib.api.schema import Body, Examples, Given, Name, Text
from chalicelib.auth import policy
from chalicelib.bus import contract, keys, queues
from chalicelib.bus.ability import require_offered
from chalicelib.domain import instances as rules
from chalicelib.domain import quotas
from chalicelib.domain.backups import require_restorable
from chalicelib.domain.flows import CREATE, DELETE, RESTORE, RESTORE_SNAPSHOT
from chalicelib.domain.operations import OperationStatus
from chalicelib.errors import BadRequest, NotFound
from chalicelib.lifecycle import Status
from chalicelib.settings import API_VERSION, settings
from chalicelib.store import accepting as transactions
from chalicelib.store import backups, lists
from chalicelib.store import instances as store
from chalicelib.store.base import Contended, races
from chalicelib.store.changes import edit
from chalicelib.store.models import (
    Backup,
    DatastoreVersion,
    Flavor,
    Instance,
    ServiceStatusRow,
)
from chalicelib.store.operations import operation_of

PATH: Final = f"/{API_VERSION}/{{project}}/instances"

CHANGED_ALONE: Final = "'access', 'datastore_version' and 'configuration'"

UNKNOWN_YET: Final = frozenset({"id", "links", "created", "updated"})
"""What of an instance is not known before it is made."""


class Update(Body, frozen=True):
    """What a PUT or PATCH of an instance may hold, of Trove's and of ours.

    Access, datastore version and configuration are changed by an operation, and there is one at a
    time. A configuration of null is taken from it, and so it is by a PUT of nothing, as in Trove.
    """

    name: Name | None = None
    configuration: Given | msgspec.UnsetType | None = msgspec.UNSET
    replica_of: Any = msgspec.UNSET
    slave_of: Any = msgspec.UNSET
    datastore_version: Given | None = None
    access: AccessBody | None = None
    description: Text | None = None
    tags: Tags | None = None
    deletion_protection: bool | None = None


class InstanceUpdate(Body, frozen=True):
    """Changes of an instance."""

    EXAMPLES: ClassVar[Examples] = (
        {"instance": {"name": "shop-2", "description": "The shop's orders"}},
        {"instance": {"access": {"is_public": True, "allowed_cidrs": ["203.0.113.0/24"]}}},
        {"instance": {"datastore_version": "10.11"}},
        {"instance": {"configuration": "9bd0a2ff-0c0f-4a5a-8f0c-3f2b8a3a2b55"}},
    )

    instance: Update


def index(request: Request) -> Response:
    """The instances of the project, a page of them."""
    rows, reported, following = _page(request)
    views = [instance_view.summary(request, row, reported.get(row.id)) for row in rows]
    return Response(200, InstanceList(views, following))


def detail(request: Request) -> Response:
    """The instances of the project in detail, a page of them."""
    rows, reported, following = _page(request)
    groups = instance_view.groups_of(rows)
    views = [instance_view.detail(request, row, reported.get(row.id), groups) for row in rows]
    return Response(200, InstanceDetailList(views, following))


def _page(request: Request) -> tuple[list[Instance], dict[str, ServiceStatusRow], Next]:
    """One query, one batch read, for either list."""
    query = request.query
    rows, following = lists.of_tenant(
        request.context.project_id,
        limit_of(query),
        marker_of(query),
        filter_of(query),
        order_of(query),
    )
    reported = store.service_statuses(row.id for row in rows) if rows else {}
    return rows, reported, request.place.next_page(following)


def show(request: Request) -> Response:
    """An instance of the project."""
    row = instance_of(request)
    reported, groups = store.service_status(row.id), instance_view.groups_of([row])
    return Response(200, OneInstance(instance_view.detail(request, row, reported, groups)))


def create(request: Request) -> Response:
    """Create an instance: accepted means durable, and the instance is in BUILD."""
    wanted = request.json(NewInstance).instance
    require_supported(wanted)
    _authorize_contents(request, wanted)
    begins = restore_point.chosen(request, wanted.restore_point)
    backup = begins.backup if begins is not None else None
    version = choose_version(request.catalog, wanted.datastore or _datastore_of(backup))
    require_offered(version, contents_asked(wanted))
    contents = initial_contents(wanted, version.manager)
    flavor = choose_flavor(request.catalog, rules.flavor_id(wanted.flavor_ref))
    require_flavor(version, flavor.id)
    require_volume_type(version, wanted.volume.type if wanted.volume else None)
    instance = _new_instance(request, wanted, version, flavor)
    flow = CREATE
    if backup is not None:
        flow = RESTORE_SNAPSHOT if backup.is_snapshot else RESTORE
        log = begins is not None and begins.log is not None
        copied = contract.KEEP_LOG if log else contract.FETCH_BACKUP
        require_offered(version, [contract.REBUILD if backup.is_snapshot else copied])
        needs_gib, volume_gib = backups.needs_of([backup])[backup.id], int(instance.volume_size)
        require_restorable(backup, needs_gib, version.manager, version.version, volume_gib)
    if wanted.configuration is not None:
        policy.authorize(request.context, "instance:update", request.context.project_id)
        require_offered(version, [contract.UPDATE_OVERRIDES])
        group = attaching.group_of(instance.tenant_id, wanted.configuration, version)
        instance.configuration_id = group.id
    held = quotas.held_by_instance(int(flavor.ram), int(instance.volume_size))
    if request.dry_run:
        view = instance_view.detail(request, instance, None)
        shown: dict[str, Any] = msgspec.to_builtins(view)
        made = {name: value for name, value in shown.items() if name not in UNKNOWN_YET}
        return planning.plan(instance, flow, lambda: (made, held))
    request.audit.of_instance(instance.id, instance.tenant_id)
    operation_id = aws.new_id()
    operation = operation_of(
        instance,
        flow,
        operation_id=operation_id,
        arguments=begins.arguments if begins is not None else None,
        sealed_args=keys.protect("operation", operation_id, msgspec.json.encode(contents)),
        asked=request.asked,
    )
    headers = {LOCATION_HEADER: request.place.url("instances", instance.id)}
    headers[RETRY_AFTER_HEADER] = str(accepting.RETRY_AFTER_SECONDS)
    reply = Response(200, OneInstance(instance_view.detail(request, instance, None)), headers)
    transactions.accept_create(instance, operation, held, request.keeping(reply))
    queues.notify_task_manager(operation_id)
    return reply


def _datastore_of(backup: Backup | None) -> DatastoreBody:
    """What is built where the body does not say: what the backup is of, or the default."""
    if backup is None:
        return DatastoreBody()
    return DatastoreBody(type=backup.datastore_name, version=backup.datastore_version_id)


def _placed(request: Request, nic: dict[str, str]) -> dict[str, str]:
    """The nic, with the network that Neutron shows the caller: no flow can ask for a tenant."""
    shown = request.shown_network(nic)
    return {**nic, "shown_network_id": shown} if shown else nic


def _authorize_contents(request: Request, wanted: InstanceBody) -> None:
    """Initial databases and users need their own policies too."""
    context = request.context
    if wanted.databases:
        policy.authorize(context, "instance:extension:database:create", context.project_id)
    if wanted.users:
        policy.authorize(context, "instance:extension:user:create", context.project_id)


def _new_instance(
    request: Request, wanted: InstanceBody, version: DatastoreVersion, flavor: Flavor
) -> Instance:
    now = aws.clock()
    tenant_id = request.context.project_id
    volume = wanted.volume
    size = rules.volume_size(volume.size if volume else None, settings().max_volume_size)
    return Instance(
        id=aws.new_id(),
        tenant_id=tenant_id,
        index_tenant=tenant_id,
        status=Status.BUILD,
        created=now,
        updated=now,
        datastore_version_id=version.id,
        datastore_name=version.datastore_name,
        datastore_version=version.name,
        datastore_version_number=version.version,
        manager=version.manager,
        image={"id": version.image_id, "tags": list(version.image_tags)},
        flavor_id=flavor.id,
        flavor_ram=int(flavor.ram),
        flavor_vcpus=int(flavor.vcpus),
        volume_size=size,
        volume_type=(volume.type if volume else None) or None,
        region=settings().os_region_name,
        availability_zone=rules.availability_zone(wanted.availability_zone),
        locality=wanted.locality,
        access=wanted.access.changing(None) if wanted.access else None,
        nics=[_placed(request, nic.checked()) for nic in wanted.nics or []],
        protected=wanted.deletion_protection or None,
        **noted(wanted.name, wanted.description, wanted.tags),
    )


def update(request: Request) -> Response:
    """Change an instance: its access or version by an operation, what is noted at once.

    `dry_run` plans an operation, which then is all that is asked for.
    """
    changes = request.json(InstanceUpdate).instance
    row = instance_of(request)
    if changes.replica_of is not msgspec.UNSET or changes.slave_of is not msgspec.UNSET:
        raise BadRequest(f"Instance {row.id} is not a replica.")
    values = noted(changes.name, changes.description, changes.tags)
    operations = _operations(request, changes, nothing=changes == Update())
    if len(operations) > 1:
        raise BadRequest(f"Of {CHANGED_ALONE} one is changed at a time.")
    if request.dry_run and (values or changes.deletion_protection is not None or not operations):
        raise BadRequest(f"'dry_run' plans a change of one of {CHANGED_ALONE} alone.")
    reply = operations[0]() if operations else Response(202)
    if changes.deletion_protection is not None:
        protect(request, changes.deletion_protection)
    if values:
        edit(row, values, request.asked)
    return reply


def _operations(
    request: Request, changes: Update, *, nothing: bool
) -> list[Callable[[], Response]]:
    """The operations that changes ask for; a PUT of nothing asks for one too."""
    found: list[Callable[[], Response]] = []
    if (wanted := changes.access) is not None:
        found.append(lambda: access.accept(request, wanted))
    if (version := changes.datastore_version) is not None:
        found.append(lambda: upgrading.accept(request, version))
    match changes.configuration:
        case str() as group:
            found.append(lambda: attaching.attach(request, group))
        case None:
            found.append(lambda: attaching.detach(request))
        case _ if nothing and request.method == "PUT":
            found.append(lambda: attaching.detach(request))
    return found


def delete(request: Request) -> Response:
    """Delete an instance, after a last backup of it if that is wanted."""
    if final_backups.is_wanted(request.query):
        return final_backups.accept(request)
    return accept_delete(request)


def accept_delete(request: Request, *, though_protected: bool = False) -> Response:
    """Accept one delete operation for the instance in the path, however many ask at once.

    Whoever loses a race looks again and gets the answer of what is there now: 404, 409, 422, or
    acceptance of the delete that is under way.
    """
    if request.dry_run:
        return _planned_delete(instance_of(request))
    decided_by = () if though_protected else ("protected",)
    for _ in races():
        row = instance_of(request)
        if not though_protected:
            require_unprotected(row)
        lifecycle.require(DELETE.sources, row.id, row.status)
        reply = accepting.accepted(request, row.id, row.next_operation_id or row.operation_id)
        if row.status == Status.SHUTDOWN:
            return reply
        if row.next_operation_id is not None:
            if transactions.accept_queued_delete(row, request.asked, request.keeping(reply)):
                return reply
            continue
        operation = operation_of(row, DELETE, asked=request.asked)
        reply = accepting.accepted(request, row.id, operation.id)
        claim = request.keeping(reply)
        if transactions.accept(row, operation, decided_by=decided_by, claim=claim):
            if operation.status == OperationStatus.ACCEPTED:
                queues.notify_task_manager(operation.id)
            return reply
    raise Contended("The instance is being changed by others at the moment; try again.")


def _planned_delete(row: Instance) -> Response:
    """What a delete would do; it waits for what is under way, and calls it back."""

    def decide() -> tuple[Any, dict[str, int]]:
        require_unprotected(row)
        lifecycle.require(DELETE.sources, row.id, row.status)
        return None, {}

    return planning.plan(row, DELETE, decide, behind=row.operation_id)


ROUTES: Final = (
    Route("GET", PATH, index, "instance:index", query=Listed, answers=InstanceList),
    Route(
        "POST",
        PATH,
        create,
        "instance:create",
        plans=True,
        reads=NewInstance,
        answers=OneInstance,
        refuses=(NotFound, *accepting.REFUSALS),
        follow=True,
    ),
    Route(
        "GET",
        f"{PATH}/detail",
        detail,
        "instance:detail",
        query=Listed,
        answers=InstanceDetailList,
    ),
    Route("GET", f"{PATH}/{{instance}}", show, "instance:show", answers=OneInstance),
    *(
        Route(
            method,
            f"{PATH}/{{instance}}",
            update,
            named,
            plans=True,
            reads=InstanceUpdate,
            status=202,
            refuses=accepting.REFUSALS,
            follow=True,
        )
        for method, named in (("PUT", "instance:update"), ("PATCH", "instance:edit"))
    ),
    Route(
        "DELETE",
        f"{PATH}/{{instance}}",
        delete,
        "instance:delete",
        plans=True,
        query=FinalBackup,
        status=202,
        refuses=accepting.REFUSALS,
        follow=True,
    ),
)
