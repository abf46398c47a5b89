"""The database's superuser: off by default; who turned it on is remembered."""

from __future__ import annotations

import base64
from typing import Final

from chalicelib import aws
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import asking, require_ready
from chalicelib.api.schema import Body
from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import EnableRoot, Nothing
from chalicelib.domain import contents
from chalicelib.errors import NotFound
from chalicelib.settings import API_VERSION
from chalicelib.store.changes import record_root_enabled

PATH: Final = f"/{API_VERSION}/{{project}}/instances/{{instance}}/root"
POLICY: Final = "instance:extension:root"
PASSWORD_BYTES: Final = 24


class EnableBody(Body, frozen=True):
    """Body of POST root, which may be empty."""

    password: str | None = None


def show(request: Request) -> Response:
    """GET root: whether it is enabled."""
    found = asking(request, contract.IS_ROOT_ENABLED).answer(Nothing())
    return Response(200, {"rootEnabled": found.enabled})


def enable(request: Request) -> Response:
    """POST root: the only answer that holds its password."""
    wished = request.json(EnableBody).password if request.body else None
    asked = asking(request, contract.ENABLE_ROOT)
    password = _new_password() if wished is None else contents.password(wished)
    require_ready(asked.instance)
    # Recorded first: a call that times out may still take effect, and must not go unnoticed.
    record_root_enabled(asked.instance, request.asked)
    reply = Response(200, {"user": {"name": "root", "password": password}})
    return asked.once(reply, _as_told)


def _as_told(reply: Response) -> EnableRoot:
    return EnableRoot(reply.body["user"]["password"])


def disable(request: Request) -> Response:
    """DELETE root; 404 when it was never enabled."""
    asked = asking(request, contract.DISABLE_ROOT)
    if asked.instance.root_enabled_at is None:
        raise NotFound("The root user was never enabled on this instance.")
    asked.answer(Nothing())
    return Response(204)


def _new_password() -> str:
    return base64.urlsafe_b64encode(aws.token_bytes(PASSWORD_BYTES)).decode()


ROUTES: Final = (
    Route("GET", PATH, show, f"{POLICY}:index"),
    Route("POST", PATH, enable, f"{POLICY}:create"),
    Route("DELETE", PATH, disable, f"{POLICY}:delete"),
)
