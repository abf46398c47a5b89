"""`configuration` of an instance: a group is attached to it, or taken from it.

Refusals are Trove's, 400 each: a group of another datastore version, an instance that has one
already, or that is not ACTIVE.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from chalicelib.api import accepting, awaiting
from chalicelib.api.accepting import Wanted
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.response import View
from chalicelib.bus import contract
from chalicelib.bus.ability import require_heard, require_offered
from chalicelib.domain.configurations import defaults_of
from chalicelib.domain.flows import CONFIGURE
from chalicelib.engines.parameter import Scalar
from chalicelib.errors import BadRequest, NotSupported
from chalicelib.settings import API_VERSION
from chalicelib.store import attachments, configurations
from chalicelib.store.models import Configuration, DatastoreVersion, Instance
from chalicelib.store.operations import get_operation


class Defaults(View, frozen=True):
    """Values by the names of their parameters."""

    configuration: dict[str, Scalar]


class OfInstance(View, frozen=True):
    """The defaults of an instance."""

    instance: Defaults


def attach(request: Request, configuration_id: str) -> Response:
    """Have the instance in the path hold the values of a group."""
    row = instance_of(request)
    if row.configuration_id is None:
        _require_active(row.shown_status)
    return _seen_done(request, lambda row: _attached(row, configuration_id))


def detach(request: Request) -> Response:
    """Have the instance in the path hold the values of none; it may have none already."""
    row = instance_of(request)
    if row.configuration_id is None and not _is_detaching(row):
        return Response(202)
    _require_active(row.status)
    return _seen_done(request, _detached)


def _seen_done(request: Request, wanted: Callable[[Instance], Wanted]) -> Response:
    """Accept the operation, and wait a little for its end: in Trove the guest has done it then."""
    until = awaiting.last_look(request)
    reply = accepting.accept(request, CONFIGURE, wanted)
    row = instance_of(request)
    if not request.dry_run and row.operation_id is not None:
        awaiting.end_of(row, row.operation_id, until)
    return reply


def group_of(tenant_id: str, configuration_id: str, version: DatastoreVersion) -> Configuration:
    """The group that a new instance of a tenant is to have; `NotFound`, or `BadRequest`."""
    group = configurations.get_configuration(configuration_id, tenant_id)
    _require_fitting(group, version.id)
    return group


def defaults(request: Request) -> Response:
    """What the parameters of an instance are where no group sets them, by its flavor and volume."""
    row = instance_of(request)
    require_offered(row, [contract.UPDATE_OVERRIDES])
    size = int(row.flavor_ram), int(row.volume_size)
    values = defaults_of(row.manager, row.datastore_version_number, *size)
    return Response(200, OfInstance(Defaults(values)))


def _attached(row: Instance, configuration_id: str) -> Wanted:
    """What is under way with the same group is the same; decided by the group that there was."""
    arguments = {"configuration": configuration_id}
    if row.configuration_id == configuration_id and row.operation_id is not None:
        return Wanted(arguments)
    if row.configuration_id is not None:
        raise BadRequest(
            f"Instance {row.id} already has a Configuration Group attached: {row.configuration_id}."
        )
    group = configurations.get_configuration(configuration_id, row.tenant_id)
    _require_fitting(group, row.datastore_version_id)
    require_heard(row)
    return Wanted(
        arguments,
        decided_by=("configuration_id", "datastore_version_id"),
        changes={"configuration_id": group.id},
        beside=attachments.attaching(group.id, row.id),
    )


def _detached(row: Instance) -> Wanted:
    arguments = {"configuration": None}
    if row.configuration_id is None:
        return Wanted(arguments)
    require_heard(row)
    return Wanted(
        arguments,
        decided_by=("configuration_id",),
        changes={"configuration_id": None},
        beside=attachments.detaching(row.configuration_id, row.id),
    )


def _is_detaching(row: Instance) -> bool:
    live = get_operation(row.operation_id) if row.operation_id is not None else None
    return live is not None and live.action == CONFIGURE.action


def _require_active(status: str) -> None:
    """Trove attaches nothing where something waits for a restart."""
    if status not in CONFIGURE.sources:
        raise BadRequest(
            "The operation you have requested cannot be executed because the instance status is "
            f"currently: {status}"
        )


def _require_fitting(group: Configuration, version_id: str) -> None:
    if group.datastore_version_id != version_id:
        raise BadRequest(
            f"Datastore Version on Configuration Group {group.datastore_version_id} does not match "
            f"the Datastore Version on the instance {version_id}."
        )


ROUTES: Final = (
    Route(
        "GET",
        f"/{API_VERSION}/{{project}}/instances/{{instance}}/configuration",
        defaults,
        "instance:configuration",
        answers=OfInstance,
        refuses=(NotSupported,),
    ),
)
