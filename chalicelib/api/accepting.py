"""Accepting an operation on an instance: who may ask for it, where, and what of two at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from chalicelib import lifecycle
from chalicelib.api import planning
from chalicelib.api.frame import Request, Response
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.response import LOCATION_HEADER, RETRY_AFTER_HEADER
from chalicelib.bus import queues
from chalicelib.bus.ability import require_able, require_offered
from chalicelib.bus.contract import METHODS
from chalicelib.domain.flows import Flow
from chalicelib.errors import CofferError, Conflict, NotSupported, Unprocessable
from chalicelib.store import accepting
from chalicelib.store.base import Contended, races
from chalicelib.store.kinds import Items
from chalicelib.store.models import Instance, Operation
from chalicelib.store.operations import get_operation, operation_of

RETRY_AFTER_SECONDS: Final = 5
"""When an operation is worth a look: the fastest end within seconds."""


REFUSALS: Final[tuple[type[CofferError], ...]] = (Conflict, Unprocessable, NotSupported)
"""What may speak against an operation, beside a quota."""


class Wanted(msgspec.Struct, frozen=True):
    """What an operation is to do, decided by the instance's row as it is.

    `arguments` stand in the operation's row, so nothing of them is secret. `holds` and `decided_by`
    are those of `chalicelib.store.accepting.accept`, as `changes` and `beside` are.
    """

    arguments: dict[str, Any] | None = None
    holds: Mapping[str, int] | None = None
    decided_by: tuple[str, ...] = ()
    changes: Mapping[str, Any] = {}
    beside: Items | None = None


def accepted(request: Request, instance_id: str, operation_id: str | None) -> Response:
    """The answer to whoever asks for an operation: where it is seen, and when to look."""
    if operation_id is None:
        return Response(202)
    seen = request.place.url("instances", instance_id, "operations", operation_id)
    headers = {LOCATION_HEADER: seen, RETRY_AFTER_HEADER: str(RETRY_AFTER_SECONDS)}
    return Response(202, headers=headers)


def accept(
    request: Request,
    flow: Flow,
    wanted: Callable[[Instance], Wanted] = lambda _: Wanted(),
    *,
    row_of: Callable[[Request], Instance] = instance_of,
    answer: Callable[[Operation], Response] | None = None,
) -> Response:
    """Accept one operation of a flow on an instance: the one in the path, or `row_of` a request.

    Whoever loses a race looks again. The same that is under way already, in a status that allows
    it, is accepted, so that a client whose answer was lost may ask again; any other waits for its
    end (422). `wanted` raises what speaks against it. `answer` is told the operation, in the place
    of where that is seen.
    """
    if request.dry_run:
        return _planned(row_of(request), flow, wanted)
    for _ in races():
        row = row_of(request)
        asked = _decided(row, flow, wanted)
        if row.operation_id is not None:
            live = get_operation(row.operation_id)
            if live is None or live.live is None:
                continue  # it ended between the two reads
            _require_same(row, live, flow, asked)
            return accepted(request, row.id, live.id)
        operation = operation_of(row, flow, arguments=asked.arguments, asked=request.asked)
        reply = answer(operation) if answer else accepted(request, row.id, operation.id)
        if accepting.accept(
            row,
            operation,
            holds=asked.holds,
            decided_by=asked.decided_by,
            changes=asked.changes,
            beside=asked.beside,
            claim=request.keeping(reply),
        ):
            queues.notify_task_manager(operation.id)
            return reply
    raise Contended("The instance is being changed by others at the moment; try again.")


def _decided(row: Instance, flow: Flow, wanted: Callable[[Instance], Wanted]) -> Wanted:
    """What the operation is to do, if the instance's status and its guest allow it."""
    require_able(row, [METHODS[name] for name in flow.asks])
    require_offered(row, [METHODS[name] for name in flow.asks_next])
    lifecycle.require(flow.sources, row.id, row.status)
    return wanted(row)


def _require_same(row: Instance, live: Operation, flow: Flow, asked: Wanted) -> None:
    """Refuse (422) any other operation than the one that is under way."""
    if live.action != flow.action or live.arguments != asked.arguments:
        raise Unprocessable(
            f"Instance {row.id} is not currently available for an action to be performed "
            f"(operation {live.action} is under way)."
        )


def _planned(row: Instance, flow: Flow, wanted: Callable[[Instance], Wanted]) -> Response:
    """What would become of it now."""

    def decide() -> tuple[Any, Mapping[str, int] | None]:
        asked = _decided(row, flow, wanted)
        live = get_operation(row.operation_id) if row.operation_id is not None else None
        if live is not None and live.live is not None:
            _require_same(row, live, flow, asked)
        return asked.arguments, asked.holds

    return planning.plan(row, flow, decide)
