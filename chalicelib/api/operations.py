"""instances/{id}/operations: what was asked of an instance, how far it has come, and its cancel.

Trove has nothing like it; the names here are this project's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Container
from typing import Annotated, Final

import msgspec

from chalicelib.api.accepting import accepted
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import instance_of, remembered
from chalicelib.api.instances import PATH
from chalicelib.api.links import Next
from chalicelib.api.paging import Paged, limit_of, marker_of
from chalicelib.api.response import View, one_of
from chalicelib.api.schema import MAX_ID_LENGTH
from chalicelib.api.times import Exact, exact, exact_if_known
from chalicelib.auth import policy
from chalicelib.bus import queues
from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import (
    TERMINAL,
    OperationAction,
    OperationStatus,
    command_id,
    together,
)
from chalicelib.errors import Conflict, NotFound
from chalicelib.store import commands, subjects
from chalicelib.store.base import Contended, as_dict, races
from chalicelib.store.models import Instance, Operation
from chalicelib.store.operations import get_operation, operations_of

CANCELLED: Final = "The operation was cancelled."


class StepView(View, frozen=True):
    """A step that began; `detail` is how far it is, or what it has found."""

    name: str
    started: Exact
    ended: Exact | None
    detail: str | None


class OperationView(View, frozen=True):
    """What was asked of an instance, and how far it has come.

    `undoing`: it goes back, and `to_come` are the steps of that way. `parent_id` is the operation
    that has begun it; administrators see it.
    """

    id: str
    action: Annotated[str, one_of(OperationAction)]
    parent_id: str | None
    status: Annotated[str, one_of(OperationStatus)]
    created: Exact
    updated: Exact
    deadline: Exact
    attempt: int
    reason: str | None
    undoing: bool
    steps: list[StepView]
    to_come: list[str]


class OperationList(View, frozen=True):
    """A page of operations, newest first."""

    operations: list[OperationView]
    links: Next = msgspec.UNSET


class OneOperation(View, frozen=True):
    """One operation."""

    operation: OperationView


def index(request: Request) -> Response:
    """The operations of an instance, newest first, a page; the marker is the last one's id."""
    instance, limit = remembered(request), limit_of(request.query)
    marker = marker_of(request.query)
    before = None if marker is None else float(_operation(instance, marker).created)
    rows = operations_of(instance.id, limit + 1, before)
    admin = request.context.is_admin
    views = [view(row, _stage(row), admin=admin) for row in rows[:limit]]
    following = rows[limit - 1].id if len(rows) > limit else None
    return Response(200, OperationList(views, request.place.next_page(following)))


def show(request: Request) -> Response:
    """One operation of an instance."""
    row = _operation(remembered(request), request.id_of("operation"))
    return Response(200, OneOperation(view(row, _stage(row), admin=request.context.is_admin)))


def cancel(request: Request) -> Response:
    """Cancel an operation: it goes back, if its flow can, and ends CANCELLED.

    `Conflict` (409) for one that cannot, or has ended. Asking again changes nothing, nor does it of
    what goes back already. One that is at its end may succeed all the same.
    """
    for _ in races():
        instance = instance_of(request)
        row = _operation(instance, request.id_of("operation"))
        if row.status in TERMINAL:
            raise Conflict(f"Operation {row.id} has ended: {row.status}.")
        flow = FLOWS[row.action]
        if flow.operators:  # or the service itself has asked
            policy.authorize(request.context, "instance:rebuild", instance.tenant_id)
        if not flow.can_go_back(as_dict(row.started)) or instance.operation_id != row.id:
            raise Conflict(f"Operation {row.id} ({row.action}) cannot go back; wait for its end.")
        going_back = bool(row.cancelled or row.compensating)
        if going_back or subjects.cancel(instance, row, CANCELLED, request.asked):
            queues.notify_task_manager(row.id)
            return accepted(request, instance.id, row.id)
    raise Contended("The instance is being changed by others at the moment; try again.")


def _operation(instance: Instance, operation_id: str) -> Operation:
    row = get_operation(operation_id)
    if row is None or row.subject_id != instance.id:
        raise NotFound(f"Operation {operation_id[:MAX_ID_LENGTH]} cannot be found.")
    return row


def _stage(row: Operation) -> str | None:
    """What the guest does for the step that waits for it; a read while an operation runs only."""
    if row.status != OperationStatus.RUNNING or row.step is None:
        return None
    command = commands.find(command_id(row.id, row.step))
    return command.stage if command else None


def view(row: Operation, stage: str | None, *, admin: bool) -> OperationView:
    """An operation with the steps that began, in the order in which they did, and those to come.

    Its parent is the operators' business.
    """
    started, ended, notes = (as_dict(column) for column in (row.started, row.ended, row.notes))
    steps = sorted(started, key=lambda step: float(started[step]))
    # A step that failed has no end of its own: the next one began when it was over.
    for step, following in itertools.pairwise(steps):
        ended.setdefault(step, started[following])
    if steps and row.status in TERMINAL:
        ended.setdefault(steps[-1], row.updated)
    return OperationView(
        id=row.id,
        action=row.action,
        parent_id=row.parent_id if admin else None,
        status=row.status,
        created=exact(row.created),
        updated=exact(row.updated),
        deadline=exact(row.deadline),
        attempt=int(row.attempt) + 1,
        reason=together(row.cancelled, row.reason) or None,
        undoing=bool(row.compensating),
        steps=[
            StepView(
                name=step,
                started=exact(started[step]),
                ended=exact_if_known(ended.get(step)),
                detail=stage if stage and step == row.step else notes.get(step),
            )
            for step in steps
        ],
        to_come=_to_come(row, started),
    )


def _to_come(row: Operation, started: Container[str]) -> list[str]:
    """The steps that have not begun, of the way that the operation goes: forward or back."""
    if row.status in TERMINAL:
        return []
    flow = FLOWS[row.action]
    back = row.compensating or (flow.revocable and row.cancelled)
    ahead = flow.undo if back else flow.steps
    return [step.name for step in ahead if step.name not in started]


ROUTES: Final = (
    Route(
        "GET",
        f"{PATH}/{{instance}}/operations",
        index,
        "instance:show",
        query=Paged,
        answers=OperationList,
    ),
    Route(
        "GET",
        f"{PATH}/{{instance}}/operations/{{operation}}",
        show,
        "instance:show",
        answers=OneOperation,
    ),
    Route(
        "DELETE",
        f"{PATH}/{{instance}}/operations/{{operation}}",
        cancel,
        "instance:cancel",
        status=202,
        refuses=(Conflict,),
        follow=True,
    ),
)
