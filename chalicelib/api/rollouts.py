"""mgmt/rollouts: instances rebuilt on an image, or their agents upgraded in place, so many at a
time; for administrators.

Trove has nothing like it; the names here are this project's own.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec

from chalicelib.api import accepting, operations, planning
from chalicelib.api.frame import Request, Response, Route, for_administrators
from chalicelib.api.links import Next
from chalicelib.api.operations import OperationView
from chalicelib.api.paging import Paged, limit_of, marker_of
from chalicelib.api.response import LOCATION_HEADER, RETRY_AFTER_HEADER, View, one_of
from chalicelib.api.schema import Body, Examples, Given, Name
from chalicelib.api.times import Exact, exact, exact_if_known
from chalicelib.api.upgrading_agents import BundleBody
from chalicelib.auth import policy
from chalicelib.bus import queues
from chalicelib.domain.agents import AgentBundle
from chalicelib.domain.flows import ROLL_OUT
from chalicelib.domain.operations import TERMINAL
from chalicelib.domain.rollouts import MOST_AT_ONCE, MOST_TOLERATED, Progress, Wanted
from chalicelib.errors import BadRequest, Conflict
from chalicelib.settings import API_VERSION
from chalicelib.status import RolloutStatus
from chalicelib.store import accepting as transactions
from chalicelib.store import children, kinds, subjects
from chalicelib.store import rollouts as store
from chalicelib.store.base import Contended, as_dict, races
from chalicelib.store.models import Operation, Rollout
from chalicelib.store.operations import get_operation, operation_of, operations_of

STOPPED: Final = "An administrator stopped it."
PATH: Final = f"/{API_VERSION}/{{project}}/mgmt/rollouts"


class RolloutBody(Body, frozen=True):
    """What is asked for: an image, which has the engine of one version, or a bundle of the agent
    for all, or those of a version.

    Nobody can be asked here whether there is such an image, or bundle: each rebuild, or upgrade,
    looks before it changes anything.
    """

    image_id: Name | None = None
    datastore_version: Given | None = None
    project_id: Given | None = None
    at_once: Annotated[int, msgspec.Meta(ge=1, le=MOST_AT_ONCE)] = 1
    tolerate: Annotated[int, msgspec.Meta(ge=0, le=MOST_TOLERATED)] = 0
    agent: BundleBody | None = None


class NewRollout(Body, frozen=True):
    """A rollout to begin."""

    EXAMPLES: ClassVar[Examples] = (
        {
            "rollout": {
                "image_id": "6e6c1a3b-65a1-4d2f-9a55-0d6f6a0f1c11",
                "datastore_version": "10.11",
                "at_once": 5,
                "tolerate": 1,
            }
        },
        {"rollout": {"agent": BundleBody.EXAMPLES[0], "at_once": 20}},
    )

    rollout: RolloutBody


class FaultAt(View, frozen=True):
    """Why a rollout did not come to its end."""

    message: str
    created: Exact | None


class UnderWay(View, frozen=True):
    """An instance to which it is being done, and the operation that does it."""

    instance_id: str
    operation_id: str


class AgentView(View, frozen=True):
    """The bundle of the agent that is rolled out."""

    version: str
    sha256: str
    size: int


class RolloutView(View, frozen=True, kw_only=True):
    """How far a rollout has come. `rebuilt`, or upgraded; `all_seen`: it has looked at the whole
    fleet.

    The first ten are named of those whose operation failed, and of those that were skipped and have
    not the image, or the bundle.
    """

    id: str
    status: Annotated[str, one_of(RolloutStatus)]
    image_id: str | None
    agent: AgentView | None
    datastore_version_id: str | None
    project_id: str | None
    at_once: int
    tolerate: int
    created: Exact
    updated: Exact
    rebuilt: int
    failed: int
    skipped: int
    all_seen: bool
    failed_instances: list[str]
    skipped_instances: list[str]
    under_way: list[UnderWay]
    fault: FaultAt | None


class RolloutDetail(RolloutView, frozen=True, kw_only=True):
    """The same, with its operation."""

    operation: OperationView | None


class RolloutList(View, frozen=True):
    """A page of rollouts, newest first."""

    rollouts: list[RolloutView]
    links: Next = msgspec.UNSET


class OneRollout(View, frozen=True):
    """A rollout that has begun."""

    rollout: RolloutView


class OneRolloutDetail(View, frozen=True):
    """A rollout with its operation."""

    rollout: RolloutDetail


def create(request: Request) -> Response:
    """Begin a rollout; `Conflict` (409) while another is under way."""
    wanted = _wanted(request, request.json(NewRollout).rollout)
    row = store.new_rollout(request.context.project_id, wanted)
    if request.dry_run:
        return _planned(row)
    operation = operation_of(row, ROLL_OUT, arguments=row.asked, asked=request.asked)
    headers = {LOCATION_HEADER: request.place.url("mgmt", "rollouts", row.id)}
    headers[RETRY_AFTER_HEADER] = str(accepting.RETRY_AFTER_SECONDS)
    reply = Response(202, OneRollout(_view(row, operation)), headers)
    transactions.accept_create(row, operation, {}, request.keeping(reply))
    queues.notify_task_manager(operation.id)
    return reply


def _wanted(request: Request, asked: RolloutBody) -> Wanted:
    if (asked.image_id is None) == (asked.agent is None):
        raise BadRequest("Either an 'image_id' or an 'agent' is rolled out.")
    if asked.image_id is not None and asked.datastore_version is None:
        raise BadRequest("An image is rolled out to the instances of one 'datastore_version'.")
    version_id = None
    if asked.datastore_version is not None:
        version_id = _version(request, asked.datastore_version)
    agent = None
    if asked.agent is not None:
        agent = msgspec.convert(asked.agent, AgentBundle, from_attributes=True)
    return Wanted(
        *(asked.image_id or "", version_id, asked.project_id, asked.at_once, asked.tolerate, agent)
    )


def _version(request: Request, named: str) -> str:
    found = request.catalog.find(
        lambda copy: [row for row in copy.versions if named in (row.id, row.name)] or None
    )
    if found is None:
        raise BadRequest(f"There is no datastore version '{named}'.")
    if len(found) > 1:
        raise BadRequest(f"Multiple datastore versions found for '{named}'; use the id of one.")
    return str(found[0].id)


def _planned(row: Rollout) -> Response:
    def decide() -> tuple[Any, dict[str, int]]:
        kinds.KINDS[row.kind].beside_new(row)
        return row.asked, {}

    return planning.plan(row, ROLL_OUT, decide)


def index(request: Request) -> Response:
    """The rollouts, newest first, a page; they are kept for a month after their end."""
    policy.require_admin(request.context)
    limit, marker = limit_of(request.query), marker_of(request.query)
    rows = store.newest_rollouts()
    if marker is not None:
        places = [at for at, row in enumerate(rows) if row.id == marker]
        if not places:
            raise BadRequest("There is no rollout of the marker.")
        rows = rows[places[0] + 1 :]
    views = [_view(row, _listed(row)) for row in rows[:limit]]
    following = rows[limit - 1].id if len(rows) > limit else None
    return Response(200, RolloutList(views, request.place.next_page(following)))


def show(request: Request) -> Response:
    """How far a rollout has come, with its operation."""
    policy.require_admin(request.context)
    row = store.get_rollout(request.id_of("rollout"))
    operation = _operation(row)
    view = msgspec.structs.asdict(_view(row, operation))
    told = operations.view(operation, None, admin=True) if operation is not None else None
    return Response(200, OneRolloutDetail(RolloutDetail(**view, operation=told)))


def cancel(request: Request) -> Response:
    """Cancel a rollout: begin nothing more, wait for what runs; 409 when it has ended."""
    policy.require_admin(request.context)
    for _ in races():
        row = store.get_rollout(request.id_of("rollout"))
        live = _live(row)
        if live is None or live.status in TERMINAL:
            raise Conflict(f"Rollout {row.id} has ended: {row.status}.")
        going_back = bool(live.cancelled or live.compensating)
        if going_back or subjects.cancel(row, live, STOPPED, request.asked):
            queues.notify_task_manager(live.id)
            seen = request.place.url("mgmt", "rollouts", row.id)
            return Response(202, headers={LOCATION_HEADER: seen})
    raise Contended("The rollout is being changed by others at the moment; try again.")


def _live(row: Rollout) -> Operation | None:
    return get_operation(row.operation_id) if row.operation_id is not None else None


def _operation(row: Rollout) -> Operation | None:
    return _live(row) or next(iter(operations_of(row.id, 1)), None)


def _listed(row: Rollout) -> Operation | None:
    """The operation, as far as the view needs it: it names what runs, and an end may leave some."""
    left = msgspec.convert(row.progress or {}, Progress).under_way
    return _operation(row) if left else _live(row)


def _view(row: Rollout, operation: Operation | None) -> RolloutView:
    wanted = msgspec.convert(row.asked, Wanted)
    progress = msgspec.convert(row.progress or {}, Progress)
    if row.progress is None and operation is not None:
        progress = Progress.of(as_dict(operation.resources))
    parent = operation.id if operation is not None else ""
    return RolloutView(
        id=row.id,
        status=row.status,
        image_id=wanted.image_id or None,
        agent=AgentView(**msgspec.structs.asdict(wanted.agent)) if wanted.agent else None,
        datastore_version_id=wanted.version_id,
        project_id=wanted.project_id,
        at_once=wanted.at_once,
        tolerate=wanted.tolerate,
        created=exact(row.created),
        updated=exact(row.updated),
        rebuilt=progress.rebuilt,
        failed=progress.failed,
        skipped=progress.skipped,
        all_seen=progress.walked,
        failed_instances=list(progress.failures),
        skipped_instances=list(progress.passed_over),
        under_way=[UnderWay(each, children.child_id(parent, each)) for each in progress.under_way],
        fault=FaultAt(row.fault_message, exact_if_known(row.fault_created))
        if row.fault_message
        else None,
    )


ROUTES: Final = (
    Route(
        "POST",
        PATH,
        create,
        permits=for_administrators,
        plans=True,
        reads=NewRollout,
        answers=OneRollout,
        status=202,
        follow=True,
    ),
    Route("GET", PATH, index, query=Paged, answers=RolloutList),
    Route("GET", f"{PATH}/{{rollout}}", show, answers=OneRolloutDetail),
    Route(
        "DELETE",
        f"{PATH}/{{rollout}}",
        cancel,
        status=202,
        refuses=(Conflict,),
        follow=True,
    ),
)
