"""Calling the guest of an instance from a handler: first whose it is, then whether it is ready."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from chalicelib import lifecycle
from chalicelib.api.frame import Request, Response
from chalicelib.bus import commands
from chalicelib.bus.ability import not_ready, require_able, require_heard
from chalicelib.bus.contract import Method
from chalicelib.bus.contract.values import Value
from chalicelib.domain.contents import rules_of
from chalicelib.engines.engine import Rules
from chalicelib.errors import CofferError, Conflict, GuestFailed, NotSupported, Unprocessable
from chalicelib.store.instances import get_instance
from chalicelib.store.models import Instance

REFUSALS: Final[tuple[type[CofferError], ...]] = (
    Conflict,
    Unprocessable,
    NotSupported,
    GuestFailed,
)
"""How a call of a guest may end: by the guest's own word, or before it is asked."""

A = TypeVar("A", bound=Value)
R = TypeVar("R")


def instance_of(request: Request) -> Instance:
    """The instance in the path, if the caller may see it; `NotFound` otherwise."""
    found = get_instance(request.id_of("instance"), request.context.visible_tenant)
    request.audit.of_instance(found.id, found.tenant_id)
    return found


def remembered(request: Request) -> Instance:
    """The same, or one that is deleted: what became of it is told as long as its row is kept."""
    return get_instance(request.id_of("instance"), request.context.visible_tenant, gone=True)


class GuestCall(msgspec.Struct, Generic[A, R], frozen=True):
    """A method that the guest of an instance has; what it is asked with comes later."""

    request: Request
    instance: Instance
    method: Method[A, R]

    @property
    def rules(self) -> Rules:
        """The rules of the engine that the instance runs."""
        return rules_of(self.instance.manager)

    def answer(self, args: A) -> R:
        """The guest's answer, if its database is ready."""
        require_ready(self.instance)
        return self._call(args)

    def once(self, reply: Response, args: Callable[[Response], A]) -> Response:
        """The answer `reply`, once the guest has done for it what it is asked for.

        With a key it is one command, however often the request is sent, and the answer is that of
        the first attempt: the arguments are made of it.
        """
        require_ready(self.instance)
        if self.request.once is None:
            self._call(args(reply))
            return reply
        reply, command_id = self.request.once.begun(reply)
        self._call(args(reply), command_id)
        return reply

    def _call(self, args: A, command_id: str | None = None) -> R:
        until = self.request.last_look
        return commands.call(self.instance, self.method, args, command_id, until=until)


def asking(request: Request, method: Method[A, R], *within: Method[Any, Any]) -> GuestCall[A, R]:
    """A call of the guest of the instance in the path, once it is known to be the caller's.

    `within` are methods whose work it does too. Raises `NotSupported` (501) for what its datastore
    has not, before any rule about contents.
    """
    instance = instance_of(request)
    require_able(instance, [method, *within])
    return GuestCall(request, instance, method)


def require_ready(instance: Instance) -> None:
    """`Unprocessable` (422) unless the instance's database answers."""
    if instance.status not in lifecycle.SERVING:
        raise not_ready(instance, instance.status)
    status = require_heard(instance)
    if status not in lifecycle.READY:
        raise not_ready(instance, lifecycle.OPERATING_STATUS.get(status, "ERROR"))
