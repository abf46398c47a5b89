"""Configuration groups: values of an engine's parameters, kept once and held by many instances.

A change reaches the instances by an operation of the group; what is asked for is answered before.
Codes and names are Trove's: a create and a PATCH are 200, a PUT and a DELETE 202.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import msgspec

from chalicelib.api import awaiting, planning
from chalicelib.api.choices import choose_version
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.instance_body import DatastoreBody
from chalicelib.api.links import Next
from chalicelib.api.paging import Paged, limit_of, marker_of
from chalicelib.api.response import LOCATION_HEADER, View, one_of
from chalicelib.api.schema import Body, Examples, Name, Text
from chalicelib.api.times import Naive, naive
from chalicelib.bus import contract, queues
from chalicelib.bus.ability import require_offered
from chalicelib.domain.configurations import Application, checked
from chalicelib.domain.flows import APPLY
from chalicelib.engines.parameter import Scalar
from chalicelib.errors import BadRequest, NotFound, NotSupported, OverLimit, Unprocessable
from chalicelib.settings import API_VERSION, settings
from chalicelib.status import ConfigurationStatus
from chalicelib.store import attachments
from chalicelib.store import configurations as store
from chalicelib.store.base import Contended, as_dict, races
from chalicelib.store.models import Configuration
from chalicelib.store.operations import get_operation

PATH: Final = f"/{API_VERSION}/{{project}}/configurations"
ONE: Final = f"{PATH}/{{configuration}}"
BUSY: Final = "The configuration group is being changed by others at the moment; try again."
IN_USE: Final = (
    "A configuration group cannot be deleted if it is associated with one or more non-terminated "
    "instances. Detach the configuration group from all non-terminated instances and please try "
    "again."
)

Values = dict[str, Any]
STATUSES: Final = one_of(
    each for each in ConfigurationStatus if each is not ConfigurationStatus.DELETED
)


class ConfigurationBody(Body, frozen=True):
    """A new group; the values of at least one parameter."""

    name: Name
    values: Values
    description: Text | None = None
    datastore: DatastoreBody | None = None


class NewConfiguration(Body, frozen=True):
    """A configuration group to create."""

    EXAMPLES: ClassVar[Examples] = (
        {
            "configuration": {
                "name": "many-clients",
                "description": "For the shop on Fridays",
                "values": {"max_connections": 400},
                "datastore": {"type": "mariadb", "version": "10.11"},
            }
        },
    )

    configuration: ConfigurationBody


class Replacement(Body, frozen=True):
    """All values that the group has from now on; what is not given of the rest stays."""

    values: Values | None = None
    name: Name | None = None
    description: Text | None = None


class ConfigurationReplacement(Body, frozen=True):
    """Another content of a group."""

    EXAMPLES: ClassVar[Examples] = (
        {"configuration": {"name": "few-clients", "values": {"max_connections": 40}}},
    )

    configuration: Replacement


class Merge(Body, frozen=True):
    """Values that are added to those of the group, or take the place of some."""

    values: Values
    name: Name | None = None
    description: Text | None = None


class ConfigurationMerge(Body, frozen=True):
    """More content of a group."""

    EXAMPLES: ClassVar[Examples] = ({"configuration": {"values": {"max_connections": 300}}},)

    configuration: Merge


class ConfigurationSummary(View, frozen=True, kw_only=True):
    """A group in a list."""

    id: str
    name: str
    description: str | None
    created: Naive
    updated: Naive
    datastore_version_id: str
    datastore_name: str
    datastore_version_name: str
    datastore_version_number: str
    status: Annotated[str, STATUSES]


class Told(View, frozen=True):
    """How far the newest values have come: so many instances hold them, failed to take them, or
    were passed over, as they were off, broken or not heard; they take them with their next start.
    """

    done: int
    failed: int
    passed_over: int
    failed_instances: list[str]
    passed_over_instances: list[str]


class FaultOf(View, frozen=True):
    """Why the values did not come to each instance."""

    message: str
    created: Naive


class ConfigurationDetail(ConfigurationSummary, frozen=True, kw_only=True):
    """A group with its values. While it is APPLYING, they are on their way to its instances."""

    values: dict[str, Scalar]
    instance_count: int
    application: Told | None = None
    fault: FaultOf | None = None


class ConfigurationList(View, frozen=True):
    """A page of groups."""

    configurations: list[ConfigurationSummary]
    links: Next = msgspec.UNSET


class OneConfiguration(View, frozen=True):
    """One group."""

    configuration: ConfigurationDetail


class InstanceNamed(View, frozen=True):
    """An instance that has the group, and whether its guest was seen to hold the newest values."""

    id: str
    name: str
    up_to_date: bool


class InstancesOfGroup(View, frozen=True):
    """A page of the instances that have a group."""

    instances: list[InstanceNamed]
    links: Next = msgspec.UNSET


def configuration_of(request: Request) -> Configuration:
    """The group in the path, if the caller may see it; `NotFound` otherwise."""
    found = store.get_configuration(request.id_of("configuration"), request.context.visible_tenant)
    request.audit.owner_id = found.tenant_id if request.audit.audit else None
    return found


def index(request: Request) -> Response:
    """The configuration groups of the project, a page of them."""
    limit, marker = limit_of(request.query), marker_of(request.query)
    rows, following = store.of_tenant(request.context.project_id, limit, marker)
    views = [ConfigurationSummary(**_listed(row)) for row in rows]
    return Response(200, ConfigurationList(views, request.place.next_page(following)))


def show(request: Request) -> Response:
    """A configuration group with its values."""
    row = configuration_of(request)
    return Response(200, OneConfiguration(_view(row, attachments.count(row.id))))


def instances(request: Request) -> Response:
    """The instances that have a group, a page of them."""
    row = configuration_of(request)
    found, following = attachments.page(row.id, limit_of(request.query), marker_of(request.query))
    newest = store.told_by(row)
    views = [InstanceNamed(each.id, each.name, each.configuration_held == newest) for each in found]
    return Response(200, InstancesOfGroup(views, request.place.next_page(following)))


def create(request: Request) -> Response:
    """Create a configuration group."""
    asked = request.json(NewConfiguration).configuration
    tenant_id = request.context.project_id
    for _ in races():
        version = choose_version(request.catalog, asked.datastore or DatastoreBody())
        require_offered(version, [contract.UPDATE_OVERRIDES])
        row = store.new_configuration(tenant_id, asked.name, asked.description, version)
        row.wanted = _checked(row, asked.values)
        if store.are_there(tenant_id, settings().configurations_per_tenant):
            raise OverLimit(
                f"A project has at most {settings().configurations_per_tenant} configuration "
                "groups."
            )
        reply = Response(200, OneConfiguration(_view(row, 0)))
        if store.create(row, request.asked, request.keeping(reply)):
            return reply
        request.catalog.forget()  # the version was deleted meanwhile
    raise Contended(BUSY)


def replace(request: Request) -> Response:
    """Give a group other values, in the place of all that it has; its name may change too."""
    asked = request.json(ConfigurationReplacement).configuration
    values = asked.values
    return _change(
        request,
        202,
        None if values is None else lambda _: values,
        _noted(asked.name, asked.description),
    )


def merge(request: Request) -> Response:
    """Add values to a group; its other ones stay."""
    asked = request.json(ConfigurationMerge).configuration
    values = asked.values
    if not values:
        raise BadRequest("Validation error: configuration['values'] is empty")

    def joined(row: Configuration) -> Values:
        return {**row.wanted, **_checked(row, values)}

    return _change(request, 200, joined, _noted(asked.name, asked.description))


def _noted(name: str | None, description: str | None) -> dict[str, Any]:
    noted: dict[str, Any] = {} if name is None else {"name": name}
    return noted if description is None else {**noted, "description": description or None}


def _change(request: Request, status: int, values: Any, noted: Mapping[str, Any]) -> Response:
    """Change a group; `values` gives all that it is to have, by its row as it is."""
    if values is None and not noted:
        raise BadRequest("Validation error: the configuration holds nothing to change")
    if request.dry_run:
        return _planned(configuration_of(request), values, noted)
    until = awaiting.last_look(request)
    for _ in races():
        row = configuration_of(request)
        reply = Response(status, headers={LOCATION_HEADER: _seen(request, row)})
        if values is None:
            if store.edit(row, noted, request.asked):
                return reply
            continue
        changed = store.change(row, _checked(row, values(row)), noted, request.asked)
        if changed is not None:
            if changed.operation_id is not None:
                queues.notify_task_manager(changed.operation_id)
                awaiting.end_of(row, changed.operation_id, until)
            return reply
    raise Contended(BUSY)


def _planned(row: Configuration, values: Any, noted: Mapping[str, Any]) -> Response:
    def decide() -> tuple[Any, None]:
        wanted = {} if values is None else {"values": _checked(row, values(row))}
        return {**noted, **wanted}, None

    return planning.plan(row, APPLY, decide)


def delete(request: Request) -> Response:
    """Delete a group that no instance has (400)."""
    for _ in races():
        row = configuration_of(request)
        if attachments.any_of(row.id):
            raise BadRequest(IN_USE)
        if row.operation_id is not None:
            raise Unprocessable(
                f"The values of configuration group {row.id} are being applied; delete it later."
            )
        if store.delete(row, request.asked):
            return Response(202)
    raise Contended(BUSY)


def _checked(row: Configuration, values: Values) -> dict[str, Scalar]:
    """The values by the rules of the group's datastore version; `Unprocessable` (422)."""
    if not values:
        raise BadRequest("Validation error: configuration['values'] is empty")
    return checked(row.manager, row.datastore_version_number, values)


def _listed(row: Configuration) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "created": naive(row.created),
        "updated": naive(row.updated),
        "datastore_version_id": row.datastore_version_id,
        "datastore_name": row.datastore_name,
        "datastore_version_name": row.datastore_version,
        "datastore_version_number": row.datastore_version_number,
        "status": row.status,
    }


def _view(row: Configuration, instance_count: int) -> ConfigurationDetail:
    fault = None
    if row.fault_message:
        fault = FaultOf(row.fault_message, naive(row.fault_created or row.updated))
    return ConfigurationDetail(
        **_listed(row),
        values=row.wanted,
        instance_count=instance_count,
        application=_told(row),
        fault=fault,
    )


def _told(row: Configuration) -> Told | None:
    """How far its operation is, or was when it ended."""
    live = get_operation(row.operation_id) if row.operation_id is not None else None
    if live is None and row.progress is None:
        return None
    known = as_dict(live.resources) if live is not None else row.progress or {}
    progress = Application.of(known)
    return Told(
        progress.rebuilt,
        progress.failed,
        len(progress.passed_over),
        list(progress.failures),
        list(progress.passed_over),
    )


def _seen(request: Request, row: Configuration) -> str:
    return request.place.url("configurations", row.id)


_REFUSES: Final = (Unprocessable, NotSupported)

ROUTES: Final = (
    Route("GET", PATH, index, "configuration:index", query=Paged, answers=ConfigurationList),
    Route(
        "POST",
        PATH,
        create,
        "configuration:create",
        reads=NewConfiguration,
        answers=OneConfiguration,
        refuses=(NotFound, *_REFUSES),
    ),
    Route("GET", ONE, show, "configuration:show", answers=OneConfiguration),
    Route(
        "GET",
        f"{ONE}/instances",
        instances,
        "configuration:instances",
        query=Paged,
        answers=InstancesOfGroup,
    ),
    Route(
        "PUT",
        ONE,
        replace,
        "configuration:update",
        plans=True,
        reads=ConfigurationReplacement,
        status=202,
        refuses=_REFUSES,
        follow=True,
    ),
    Route(
        "PATCH",
        ONE,
        merge,
        "configuration:edit",
        reads=ConfigurationMerge,
        refuses=_REFUSES,
        follow=True,
    ),
    Route("DELETE", ONE, delete, "configuration:delete", status=202, refuses=_REFUSES),
)
