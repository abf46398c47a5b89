"""What is noted on an instance, and changed at once: name, description, tags, its protection."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from chalicelib.api.frame import Request
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.schema import Text
from chalicelib.domain import bounds, labels
from chalicelib.domain.backups import is_final
from chalicelib.domain.operations import OperationAction
from chalicelib.errors import Conflict
from chalicelib.store import changes
from chalicelib.store.base import Contended, races
from chalicelib.store.models import Instance
from chalicelib.store.operations import get_operation

Tags = Annotated[list[str], msgspec.Meta(max_length=bounds.MAX_TAGS)]


def noted(name: str | None, description: Text | None, tags: list[str] | None) -> dict[str, Any]:
    """The new values of what is given, as the row has them; None takes one away."""
    values: dict[str, Any] = {}
    if name is not None:
        values["name"] = name
    if description is not None:
        values["description"] = labels.description(description)
    if tags is not None:
        values["tags"] = labels.tags(tags)
    return values


def protect(request: Request, wanted: bool) -> None:
    """Protect the instance in the path against deletion, or no more.

    `Conflict` (409) when a delete of it is under way: too late.
    """
    for _ in races():
        row = instance_of(request)
        if bool(row.protected) == wanted:
            return
        if not wanted:
            changes.unprotect(row, request.asked)
            return
        if _is_being_deleted(row):
            raise Conflict(f"Instance {row.id} is being deleted.")
        if changes.protect(row, request.asked):
            return
    raise Contended("The instance is being changed by others at the moment; try again.")


def require_unprotected(row: Instance) -> None:
    """Refuse (409) to delete what is protected."""
    if row.protected:
        raise Conflict(
            f"Instance {row.id} is protected against deletion; to delete it, change its "
            "'deletion_protection' to false first."
        )


def _is_being_deleted(row: Instance) -> bool:
    """Whether a delete is under way, or waits; a reset may have hidden it from the status."""
    if row.next_operation_id is not None:
        return True
    live = get_operation(row.operation_id) if row.operation_id is not None else None
    if live is None:
        return False
    return live.action == OperationAction.DELETE or is_final(live.action, live.arguments)
