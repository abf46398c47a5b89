"""POST instances/{id}/action: a table of actions, each with its body, policy and effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from chalicelib import lifecycle
from chalicelib.api import accepting, resizing
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import instance_of, require_heard
from chalicelib.api.instances import PATH, accept_delete
from chalicelib.api.resizing import ResizeBody
from chalicelib.api.schema import Body, fitted
from chalicelib.auth import policy
from chalicelib.domain.flows import RESTART
from chalicelib.errors import BadRequest, NotSupported
from chalicelib.store import instances as store
from chalicelib.store.base import Contended, races

RESET_REASON: Final = "The status was reset by an administrator."
FORCE_REASON: Final = "The deletion was forced."


class Nothing(Body, frozen=True):
    """An action that takes no arguments."""


class ResetBody(Body, frozen=True):
    """Trove's policy for a reset depends on a flag in the body, which its clients once sent."""

    force_delete: Any = msgspec.UNSET

    @property
    def forced(self) -> bool:
        """Whether a delete is to follow: the flag's value says nothing."""
        return self.force_delete is not msgspec.UNSET


class Action(msgspec.Struct, frozen=True):
    """One action. No row of the table can do without its policy, which the body may decide."""

    body: type[Body]
    policy: Callable[[Any], str]
    run: Callable[[Request, Any], None]


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
    action = ACTIONS[name]
    asked = fitted(arguments or {}, action.body, name)
    policy.authorize(request.context, action.policy(asked), instance_of(request).tenant_id)
    action.run(request, asked)
    return Response(202)


def _restart(request: Request, _: Nothing) -> None:
    require_heard(instance_of(request))
    accepting.accept(request, RESTART)


def _reset_status(request: Request, asked: ResetBody) -> None:
    _reset(request, FORCE_REASON if asked.forced else RESET_REASON)


def _force_delete(request: Request, _: Nothing) -> None:
    if instance_of(request).next_operation_id is None:
        _reset(request, FORCE_REASON)  # else what is live goes back for the delete that waits
    accept_delete(request)


def _reset(request: Request, reason: str) -> None:
    for _ in races():
        row = instance_of(request)
        lifecycle.require(lifecycle.RESETTABLE, row.id, row.status)
        if store.reset_status(row, reason, request.asked):
            return
    raise Contended("The instance is being changed by others at the moment; try again.")


ACTIONS: Final[dict[str, Action]] = {
    "restart": Action(Nothing, lambda _: "instance:restart", _restart),
    "resize": Action(ResizeBody, lambda asked: asked.policy, resizing.accept),
    "reset_status": Action(
        ResetBody,
        lambda asked: "instance:force_delete" if asked.forced else "instance:reset_status",
        _reset_status,
    ),
    "force_delete": Action(Nothing, lambda _: "instance:force_delete", _force_delete),
}
LATER: Final = frozenset({"promote_to_replica_source", "eject_replica_source"})

ROUTES: Final = (Route("POST", f"{PATH}/{{instance}}/action", act),)
