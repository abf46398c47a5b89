"""Who may reach an instance: as a create says it, and as it is changed later."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from chalicelib import aws, lifecycle
from chalicelib.api.frame import Request
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.schema import Body, Text
from chalicelib.bus import queues
from chalicelib.domain import bounds, instances
from chalicelib.domain.operations import OperationAction
from chalicelib.errors import Unprocessable
from chalicelib.lifecycle import Action
from chalicelib.settings import settings
from chalicelib.store import instances as store
from chalicelib.store.base import Contended, races
from chalicelib.store.operations import get_operation, new_operation

Cidrs = Annotated[list[Text], msgspec.Meta(max_length=bounds.MAX_ALLOWED_CIDRS)]


class AccessBody(Body, frozen=True):
    """Who may reach the database."""

    is_public: bool | None = None
    allowed_cidrs: Cidrs | None = None

    def changing(self, current: dict[str, Any] | None) -> dict[str, Any]:
        """The whole access, as the task manager reads it: what is not named stays as it is."""
        known = current or {}
        cidrs = known.get("allowed_cidrs") if self.allowed_cidrs is None else self.allowed_cidrs
        public = known.get("is_public") if self.is_public is None else self.is_public
        return {"is_public": bool(public), "allowed_cidrs": instances.allowed_cidrs(cidrs)}


def accept(request: Request, changes: AccessBody) -> None:
    """Accept one operation that changes the access of the instance in the path.

    Whoever loses a race looks again. The same change that is under way already is accepted, so that
    a client whose answer was lost may ask again; any other waits for its end (422).
    """
    for _ in races():
        row = instance_of(request)
        lifecycle.require(Action.UPDATE_ACCESS, row.id, row.status)
        wanted = changes.changing(row.access)
        if row.operation_id is not None:
            live = get_operation(row.operation_id)
            if live is None or live.live is None:
                continue  # it ended between the two reads
            if live.action == OperationAction.UPDATE_ACCESS and live.arguments == wanted:
                return
            raise Unprocessable(
                f"Instance {row.id} is not currently available for an action to be performed "
                f"(operation {live.action} is under way)."
            )
        operation = new_operation(
            aws.new_id(),
            row.id,
            row.tenant_id,
            OperationAction.UPDATE_ACCESS,
            timeout=settings().update_timeout_seconds,
            arguments=wanted,
            asked=request.asked,
        )
        if store.accept_access(row, operation):
            queues.notify_task_manager(operation.id)
            return
    raise Contended("The instance is being changed by others at the moment; try again.")
