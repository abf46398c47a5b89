"""GET instances/{id}/operations: what was asked of an instance and how far it has come.

Trove has nothing like it; the names here are this project's own.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.instances import PATH
from chalicelib.api.times import exact
from chalicelib.domain.operations import TERMINAL, OperationStatus, command_id
from chalicelib.store import commands
from chalicelib.store.models import Operation
from chalicelib.store.operations import operations_of


def index(request: Request) -> Response:
    """The operations of an instance, newest first."""
    rows = operations_of(instance_of(request).id)
    return Response(200, {"operations": [view(row, _stage(row)) for row in rows]})


def _stage(row: Operation) -> str | None:
    """What the guest does for the step that waits for it; a read while an operation runs only."""
    if row.status != OperationStatus.RUNNING or row.step is None:
        return None
    command = commands.find(command_id(row.id, row.step))
    return command.stage if command else None


def view(row: Operation, stage: str | None) -> dict[str, Any]:
    """An operation with the steps that began, in the order in which they did."""
    started, ended, notes = (
        dict(column.attribute_values) for column in (row.started, row.ended, row.notes)
    )
    steps = sorted(started, key=lambda step: float(started[step]))
    # A step that failed has no end of its own: the next one began when it was over.
    for step, following in itertools.pairwise(steps):
        ended.setdefault(step, started[following])
    if steps and row.status in TERMINAL:
        ended.setdefault(steps[-1], row.updated)
    return {
        "id": row.id,
        "action": row.action,
        "status": row.status,
        "created": exact(row.created),
        "updated": exact(row.updated),
        "reason": row.cancelled or row.reason,
        "steps": [
            {
                "name": step,
                "started": exact(started[step]),
                "ended": exact(ended.get(step)),
                "detail": stage if stage and step == row.step else notes.get(step),
            }
            for step in steps
        ],
    }


ROUTES: Final = (Route("GET", f"{PATH}/{{instance}}/operations", index, "instance:show"),)
