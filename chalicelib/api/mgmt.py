"""The administrators' view of the instances of all projects: list, show, who enabled root.

Source: Trove 26's `mgmt` routes. As elsewhere nothing here calls the cloud or a guest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from chalicelib.api import instance_view
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.instance_view import InstanceDetail
from chalicelib.api.links import Next
from chalicelib.api.listing import Listed, filter_of, order_of
from chalicelib.api.paging import limit_of, marker_of
from chalicelib.api.response import View, one_of
from chalicelib.api.schema import MAX_ID_LENGTH, Query, flag_of
from chalicelib.api.times import Naive, naive
from chalicelib.auth import policy
from chalicelib.errors import BadRequest, NotFound
from chalicelib.lifecycle import Status
from chalicelib.settings import API_VERSION
from chalicelib.status import RESTART_REQUIRED
from chalicelib.store import instances as store
from chalicelib.store import lists
from chalicelib.store.models import Instance, ServiceStatusRow

PATH: Final = f"/{API_VERSION}/{{project}}/mgmt/instances"
NEVER: Final = ("Never", "Nobody")


class Deleted(Query, frozen=True):
    """Whether what is gone is meant."""

    deleted: bool | None = None


class ManagedQuery(Listed, frozen=True):
    """Of which project, and whether those that are gone."""

    project_id: Annotated[str, msgspec.Meta(max_length=MAX_ID_LENGTH)] | None = None
    deleted: bool | None = None


class ServerView(View, frozen=True):
    """The server of an instance."""

    id: str | None


class GuestView(View, frozen=True):
    """What the guest reported last, its generation, and its agent: the release of the contract that
    it knows, and the version of its bundle."""

    state_description: str | None
    generation: int
    agent_release: int | None
    agent_version: str | None


class ManagedInstance(InstanceDetail, frozen=True, kw_only=True):
    """An instance as the administrators see it, also one that is gone."""

    status: Annotated[str, one_of([*Status, RESTART_REQUIRED])]
    deleted: bool
    deleted_at: Naive | None
    server: ServerView
    guest_status: GuestView


class ManagedInstanceList(View, frozen=True):
    """A page of the instances of all projects."""

    instances: list[ManagedInstance]
    links: Next = msgspec.UNSET


class OneManagedInstance(View, frozen=True):
    """One instance of any project."""

    instance: ManagedInstance


class RootHistory(View, frozen=True):
    """When root was enabled last, and by whom; `Never` and `Nobody`."""

    id: str
    enabled: str
    user: str


class OneRootHistory(View, frozen=True):
    """Who enabled root."""

    root_history: RootHistory


def index(request: Request) -> Response:
    """Instances of all projects, or of one with `project_id`; those that are gone with `deleted`.

    A page may be shorter than its limit, or empty, and still have a next one: it ends where the
    read of the table has become long.
    """
    policy.require_admin(request.context)
    query, tenant_id, deleted = request.query, _project_of(request), _deleted(request)
    limit, marker = limit_of(query), marker_of(query)
    wanted, order = filter_of(query), order_of(query)
    if tenant_id is not None and not deleted:
        rows, following = lists.of_tenant(tenant_id, limit, marker, wanted, order)
    elif order is not None:
        raise BadRequest("Only the instances of one project ('project_id') can be sorted.")
    else:
        rows, following = lists.of_everybody(limit, marker, wanted, tenant_id, deleted=deleted)
    reported = store.service_statuses(row.id for row in rows) if rows else {}
    groups = instance_view.groups_of(rows)
    views = [_view(request, row, reported.get(row.id), groups) for row in rows]
    return Response(200, ManagedInstanceList(views, request.place.next_page(following)))


def show(request: Request) -> Response:
    """An instance of any project; with `deleted` one that is gone, as long as its row is kept."""
    row = _instance(request)
    reported, groups = store.service_status(row.id), instance_view.groups_of([row])
    return Response(200, OneManagedInstance(_view(request, row, reported, groups)))


def root_history(request: Request) -> Response:
    """Who enabled root last, and when."""
    row = _instance(request)
    when, who = NEVER
    if row.root_enabled_at is not None:
        when, who = naive(row.root_enabled_at), row.root_enabled_by or ""
    return Response(200, OneRootHistory(RootHistory(row.id, when, who)))


def _instance(request: Request) -> Instance:
    policy.require_admin(request.context)
    deleted = _deleted(request)
    row = store.find_instance(request.id_of("instance"))
    if row is None or (row.status == Status.DELETED) != deleted:
        raise NotFound(f"Instance {request.id_of('instance')} cannot be found.")
    return row


def _deleted(request: Request) -> bool:
    return flag_of(request.query, "deleted")


def _project_of(request: Request) -> str | None:
    """The project asked for; DynamoDB refuses keys that are longer than 2 KiB."""
    tenant_id = request.query.get("project_id")
    if tenant_id is not None and len(tenant_id) > MAX_ID_LENGTH:
        raise BadRequest("The 'project_id' is too long.")
    return tenant_id


def _view(
    request: Request,
    row: Instance,
    reported: ServiceStatusRow | None,
    groups: Mapping[str, str],
) -> ManagedInstance:
    return ManagedInstance(
        **msgspec.structs.asdict(instance_view.detail(request, row, reported, groups)),
        deleted=row.status == Status.DELETED,
        deleted_at=naive(row.deleted_at) if row.deleted_at is not None else None,
        server=ServerView(row.resources.get("server_id")),
        guest_status=_guest(row, reported),
    )


def _guest(row: Instance, reported: ServiceStatusRow | None) -> GuestView:
    if reported is None:
        return GuestView(None, int(row.generation), None, None)
    return GuestView(
        reported.status,
        int(row.generation),
        int(reported.agent_release) or None,
        reported.agent_version or None,
    )


ROUTES: Final = (
    Route("GET", PATH, index, query=ManagedQuery, answers=ManagedInstanceList),
    Route("GET", f"{PATH}/{{instance}}", show, query=Deleted, answers=OneManagedInstance),
    Route(
        "GET",
        f"{PATH}/{{instance}}/root",
        root_history,
        query=Deleted,
        answers=OneRootHistory,
    ),
)
