"""POST instances/{id}/action: a table of actions, each with its body, policy and effect."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any, Final

import msgspec

from chalicelib import lifecycle
from chalicelib.api import accepting, migrating, rebuilding, resizing, upgrading_agents
from chalicelib.api.accepting import Wanted
from chalicelib.api.frame import Request, Response, Route, for_administrators
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.instances import PATH, accept_delete
from chalicelib.api.labels import require_unprotected
from chalicelib.api.migrating import MigrateBody
from chalicelib.api.rebuilding import RebuildBody
from chalicelib.api.resizing import ResizeBody
from chalicelib.api.schema import Body, fitted
from chalicelib.api.upgrading_agents import BundleBody
from chalicelib.auth import policy
from chalicelib.bus.ability import require_heard
from chalicelib.conductor import generations
from chalicelib.domain.flows import REBOOT, RESTART, START, STOP
from chalicelib.errors import BadRequest, CofferError, NotSupported, Unprocessable
from chalicelib.settings import API_VERSION
from chalicelib.store import guests
from chalicelib.store import instances as store
from chalicelib.store.base import Contended, races
from chalicelib.store.models import Instance

OPERATORS_PATH: Final = f"/{API_VERSION}/{{project}}/mgmt/instances"
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


class ForceBody(Body, frozen=True):
    """A forced delete; of what is protected only by an administrator, who says so."""

    ignore_protection: bool = False


class Action(msgspec.Struct, frozen=True):
    """One action. No row of the table can do without its policy, which the body may decide.

    One that `plans` is no more than an operation, whose plan `dry_run` shows.
    """

    body: type[Body]
    policy: Callable[[Any], str]
    run: Callable[[Request, Any], Response]
    plans: bool = False


def act(request: Request) -> Response:
    """Ask for the one action on an instance that the body names."""
    action, asked = chosen(request, ACTIONS, LATER)
    policy.authorize(request.context, action.policy(asked), instance_of(request).tenant_id)
    return action.run(request, asked)


def permit(request: Request) -> None:
    """See that the caller may ask for that action on an instance of its own project.

    Whose the instance is `act` looks at; a kept answer is of the caller's project. What is wrong
    with a body comes behind its key: a known one says first that it was another request's.
    """
    try:
        action, asked = chosen(request, ACTIONS, LATER)
    except CofferError:
        return
    policy.authorize(request.context, action.policy(asked), request.context.project_id)


def act_as_operator(request: Request) -> Response:
    """The same for administrators: what only they may ask for, on Trove's route for them."""
    action, asked = chosen(request, OPERATORS_ACTIONS)
    return action.run(request, asked)


def chosen(
    request: Request, actions: Mapping[str, Action], later: Container[str] = ()
) -> tuple[Action, Any]:
    """The one action that the body names, and its arguments."""
    body = request.json(dict[str, Any])
    if len(body) != 1:
        raise BadRequest("The body must hold exactly one action.")
    name, arguments = next(iter(body.items()))
    if name in actions or name in later:
        request.audit.action = name
    if not (arguments is None or isinstance(arguments, dict)):
        raise BadRequest("Validation error: the action's value must be an object")
    if name in later:
        instance_of(request)
        raise NotSupported(f"The action '{name}' is not supported yet.")
    if name not in actions:
        raise BadRequest("The body holds no action that is known.")
    if request.dry_run and not actions[name].plans:
        raise BadRequest(f"The action '{name}' cannot be tried with 'dry_run'; nothing was done.")
    return actions[name], fitted(arguments or {}, actions[name].body, name)


def _restart(request: Request, _: Nothing) -> Response:
    return accepting.accept(request, RESTART, _heard)


def _stop(request: Request, _: Nothing) -> Response:
    return accepting.accept(request, STOP, _heard)


def _heard(row: Instance) -> Wanted:
    """What the guest has a part in is not begun without it."""
    require_heard(row)
    return Wanted()


def _start(request: Request, _: Nothing) -> Response:
    return accepting.accept(request, START, _startable)


def _startable(row: Instance) -> Wanted:
    """What a create did not make, or a delete began to take away, owns no server for certain.

    One whose guest was expelled, or failed to be replaced, has nobody who could answer.
    """
    if "server_id" not in row.resources:
        raise Unprocessable(f"Instance {row.id} has no server to start; delete it.")
    if guests.find(row.id, int(row.generation)) is None:
        raise Unprocessable(f"Instance {row.id} has no guest; rebuild it.")
    return Wanted(decided_by=("generation",))


def _reboot(request: Request, _: Nothing) -> Response:
    """Whatever the guest is at: that is what it is for."""
    return accepting.accept(request, REBOOT)


def _expel(request: Request, _: Nothing) -> Response:
    """At once, and beside whatever is under way: the guest is somebody else's by now."""
    reply = Response(202)
    generations.expel(instance_of(request).id, request.asked, request.keeping(reply))
    return reply


def _reset_status(request: Request, asked: ResetBody) -> Response:
    return _reset(request, FORCE_REASON if asked.forced else RESET_REASON)


def _reset_task_status(request: Request, _: Nothing) -> Response:
    return _reset(request, RESET_REASON)


def _force_delete(request: Request, asked: ForceBody) -> Response:
    """Two transactions: the second one keeps the answer, and the first may be done again."""
    if asked.ignore_protection:
        policy.authorize(request.context, "instance:ignore_protection", request.context.project_id)
    else:
        require_unprotected(instance_of(request))  # before the first of them
    if instance_of(request).next_operation_id is None:  # else what is live goes back for it
        _reset(msgspec.structs.replace(request, once=None), FORCE_REASON)
    return accept_delete(request, though_protected=asked.ignore_protection)


def _reset(request: Request, reason: str) -> Response:
    reply = Response(202)
    for _ in races():
        row = instance_of(request)
        lifecycle.require(lifecycle.RESETTABLE, row.id, row.status)
        if store.reset_status(row, reason, request.asked, request.keeping(reply)):
            return reply
    raise Contended("The instance is being changed by others at the moment; try again.")


_STOP: Final = Action(Nothing, lambda _: "instance:stop", _stop, plans=True)

ACTIONS: Final[Mapping[str, Action]] = {
    "restart": Action(Nothing, lambda _: "instance:restart", _restart, plans=True),
    "resize": Action(ResizeBody, lambda asked: asked.policy, resizing.accept, plans=True),
    "stop": _STOP,
    "start": Action(Nothing, lambda _: "instance:start", _start, plans=True),
    "reset_status": Action(
        ResetBody,
        lambda asked: "instance:force_delete" if asked.forced else "instance:reset_status",
        _reset_status,
    ),
    "force_delete": Action(ForceBody, lambda _: "instance:force_delete", _force_delete),
}
LATER: Final = frozenset({"promote_to_replica_source", "eject_replica_source"})

OPERATORS_ACTIONS: Final[Mapping[str, Action]] = {
    "stop": _STOP,
    "reboot": Action(Nothing, lambda _: "instance:reset_status", _reboot, plans=True),
    "migrate": Action(MigrateBody, lambda _: "instance:migrate", migrating.accept, plans=True),
    "rebuild": Action(RebuildBody, lambda _: "instance:rebuild", rebuilding.accept, plans=True),
    "upgrade_agent": Action(
        BundleBody, lambda _: "instance:upgrade_agent", upgrading_agents.accept, plans=True
    ),
    "expel": Action(Nothing, lambda _: "instance:expel", _expel),
    "reset-task-status": Action(Nothing, lambda _: "instance:reset_status", _reset_task_status),
}
"""Trove's `stop` leaves the server running for nothing; here it is the same stop for everybody.
`upgrade_agent` and `expel` are not Trove's."""

ROUTES: Final = (
    Route(
        "POST",
        f"{PATH}/{{instance}}/action",
        act,
        permits=permit,
        plans=True,
        reads={name: action.body for name, action in ACTIONS.items()},
        status=202,
        refuses=accepting.REFUSALS,
        follow=True,
    ),
    Route(
        "POST",
        f"{OPERATORS_PATH}/{{instance}}/action",
        act_as_operator,
        permits=for_administrators,
        plans=True,
        reads={name: action.body for name, action in OPERATORS_ACTIONS.items()},
        status=202,
        refuses=accepting.REFUSALS,
        follow=True,
    ),
)
