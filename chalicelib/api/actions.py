"""POST instances/{id}/action: restart, reset of the status, forced deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from chalicelib import lifecycle
from chalicelib.api import accepting
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import instance_of, require_heard
from chalicelib.api.instances import PATH, accept_delete
from chalicelib.auth import policy
from chalicelib.domain.flows import RESTART
from chalicelib.errors import BadRequest, NotSupported
from chalicelib.store import instances as store
from chalicelib.store.base import Contended, races

RESET_REASON: Final = "The status was reset by an administrator."
FORCE_REASON: Final = "The deletion was forced."
FORCE_DELETE: Final = "force_delete"


def act(request: Request) -> Response:
    """Run the one action that the body names."""
    body = request.json(dict[str, Any])
    if len(body) != 1:
        raise BadRequest("The body must hold exactly one action.")
    name, arguments = next(iter(body.items()))
    if name in ACTIONS or name in LATER:
        request.audit.action = name
    if not (arguments is None or isinstance(arguments, dict)):
        raise BadRequest("Validation error: the action's value must be an object")
    if name in LATER:
        instance_of(request)
        raise NotSupported(f"The action '{name}' is not supported yet.")
    if name not in ACTIONS:
        raise BadRequest("The body holds no action that is known.")
    for argument in arguments or {}:
        if (name, argument) != ("reset_status", FORCE_DELETE):
            raise BadRequest(
                f"Validation error: {name} Additional properties are not allowed "
                f"({argument[:64]!r} was unexpected)"
            )
    ACTIONS[name](request, arguments or {})
    return Response(202)


def _restart(request: Request, _: dict[str, Any]) -> None:
    row = instance_of(request)
    policy.authorize(request.context, "instance:restart", row.tenant_id)
    require_heard(row)
    accepting.accept(request, RESTART)


def _reset_status(request: Request, arguments: dict[str, Any]) -> None:
    """Trove's policy for it depends on a flag in the body, which its clients once sent."""
    forced = FORCE_DELETE in arguments
    name = "instance:force_delete" if forced else "instance:reset_status"
    policy.authorize(request.context, name, instance_of(request).tenant_id)
    _reset(request, FORCE_REASON if forced else RESET_REASON)


def _force_delete(request: Request, _: dict[str, Any]) -> None:
    row = instance_of(request)
    policy.authorize(request.context, "instance:force_delete", row.tenant_id)
    if row.next_operation_id is None:  # else what is live goes back for the delete that waits
        _reset(request, FORCE_REASON)
    accept_delete(request)


def _reset(request: Request, reason: str) -> None:
    for _ in races():
        row = instance_of(request)
        lifecycle.require(lifecycle.RESETTABLE, row.id, row.status)
        if store.reset_status(row, reason, request.asked):
            return
    raise Contended("The instance is being changed by others at the moment; try again.")


ACTIONS: Final[dict[str, Callable[[Request, dict[str, Any]], None]]] = {
    "restart": _restart,
    "reset_status": _reset_status,
    FORCE_DELETE: _force_delete,
}
LATER: Final = frozenset({"resize", "promote_to_replica_source", "eject_replica_source"})

ROUTES: Final = (Route("POST", f"{PATH}/{{instance}}/action", act),)
