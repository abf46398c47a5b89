"""Calling the guest of an instance from a handler: first whose it is, then whether it is ready."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from chalicelib import aws, lifecycle
from chalicelib.api.frame import Request, Response
from chalicelib.bus import commands
from chalicelib.bus.contract import Method
from chalicelib.bus.contract.values import Value
from chalicelib.errors import Unprocessable
from chalicelib.lifecycle import ServiceStatus
from chalicelib.settings import settings
from chalicelib.store.instances import get_instance, service_status
from chalicelib.store.models import Instance

A = TypeVar("A", bound=Value)
R = TypeVar("R")


def instance_of(request: Request) -> Instance:
    """The instance in the path, if the caller may see it; `NotFound` otherwise."""
    return get_instance(request.id_of("instance"), request.context.visible_tenant)


def remembered(request: Request) -> Instance:
    """The same, or one that is deleted: what became of it is told as long as its row is kept."""
    return get_instance(request.id_of("instance"), request.context.visible_tenant, gone=True)


def ready_instance(request: Request) -> Instance:
    """The instance in the path when its database answers; `Unprocessable` (422) otherwise."""
    instance = instance_of(request)
    if instance.status not in lifecycle.SERVING:
        raise _not_ready(instance, instance.status)
    status = require_heard(instance)
    if status not in lifecycle.READY:
        raise _not_ready(instance, lifecycle.OPERATING_STATUS.get(status, "ERROR"))
    return instance


def require_heard(instance: Instance) -> str:
    """What the guest reported last; `Unprocessable` (422) when that is too long ago to call it.

    Who calls a guest that does not live waits for all of the call's deadline.
    """
    reported = service_status(instance.id)
    if reported is None:
        return ServiceStatus.NEW
    if aws.clock() - reported.updated >= settings().heartbeat_expiry_seconds:
        raise _not_ready(instance, lifecycle.UNHEARD)
    return reported.status


def call(request: Request, method: Method[A, R], args: A) -> R:
    """The guest's answer, once the instance is known to be the caller's and ready."""
    return commands.call(ready_instance(request), method, args)


def call_once(
    request: Request, method: Method[A, Any], reply: Response, args: Callable[[Response], A]
) -> Response:
    """The answer `reply`, once the guest has done for it what it is asked for.

    With a key it is one command, however often the request is sent, and the answer is that of the
    first attempt: the arguments are made of it.
    """
    instance = ready_instance(request)
    if request.once is None:
        commands.call(instance, method, args(reply))
        return reply
    reply, command_id = request.once.begun(reply)
    commands.call(instance, method, args(reply), command_id)
    return reply


def _not_ready(instance: Instance, status: str) -> Unprocessable:
    return Unprocessable(f"Instance {instance.id} is not ready, status: {status}.")
