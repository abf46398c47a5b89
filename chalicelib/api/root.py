"""The database's superuser: off by default; who turned it on is remembered."""

from __future__ import annotations

import base64
from typing import ClassVar, Final

import msgspec

from chalicelib import aws, engines
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import REFUSALS, asking, require_ready
from chalicelib.api.response import View
from chalicelib.api.schema import Body, Examples
from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import EnableRoot, Nothing
from chalicelib.errors import NotFound
from chalicelib.settings import API_VERSION
from chalicelib.store.changes import record_root_enabled

PATH: Final = f"/{API_VERSION}/{{project}}/instances/{{instance}}/root"
POLICY: Final = "instance:extension:root"
PASSWORD_BYTES: Final = 24


class RootPassword(Body, frozen=True):
    """The password that root is to have; without one it gets one."""

    EXAMPLES: ClassVar[Examples] = ({}, {"password": "S3cret-of-root"})

    password: str | None = None


class RootShown(View, frozen=True):
    """Whether root may log in from outside."""

    rootEnabled: bool  # noqa: N815 - Trove's name


class RootUser(View, frozen=True):
    """The superuser, with its password."""

    name: str
    password: str


class RootEnabled(View, frozen=True):
    """The superuser that was enabled."""

    user: RootUser


def show(request: Request) -> Response:
    """Whether root is enabled."""
    found = asking(request, contract.IS_ROOT_ENABLED).answer(Nothing())
    return Response(200, RootShown(found.enabled))


def enable(request: Request) -> Response:
    """Enable root: the only answer that holds its password."""
    wished = request.json(RootPassword).password if request.body else None
    asked = asking(request, contract.ENABLE_ROOT)
    password = _new_password() if wished is None else asked.rules.password(wished)
    require_ready(asked.instance)
    # Recorded first: a call that times out may still take effect, and must not go unnoticed.
    record_root_enabled(asked.instance, request.asked)
    reply = Response(
        200, RootEnabled(RootUser(engines.superuser(asked.instance.manager), password))
    )
    return asked.once(reply, _as_told)


def _as_told(reply: Response) -> EnableRoot:
    return EnableRoot(msgspec.convert(reply.body, RootEnabled).user.password)


def disable(request: Request) -> Response:
    """Disable root; 404 when it was never enabled."""
    asked = asking(request, contract.DISABLE_ROOT)
    if asked.instance.root_enabled_at is None:
        raise NotFound("The root user was never enabled on this instance.")
    asked.answer(Nothing())
    return Response(204)


def _new_password() -> str:
    return base64.urlsafe_b64encode(aws.token_bytes(PASSWORD_BYTES)).decode()


ROUTES: Final = (
    Route("GET", PATH, show, f"{POLICY}:index", answers=RootShown, refuses=REFUSALS),
    Route(
        "POST",
        PATH,
        enable,
        f"{POLICY}:create",
        reads=RootPassword | None,
        answers=RootEnabled,
        refuses=REFUSALS,
    ),
    Route("DELETE", PATH, disable, f"{POLICY}:delete", status=204, refuses=REFUSALS),
)
