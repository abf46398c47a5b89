"""What all services share: a request with its caller, and a route with the service's errors."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import BadRequest, CloudError, InternalError, Unauthorized

Json = dict[str, Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """One request of a known caller. `url` is the service's own address, without a slash."""

    caller: Caller
    path: Mapping[str, str]
    query: QueryParams
    headers: Mapping[str, str]
    body: Json = field(repr=False)
    url: str

    def flag(self, name: str) -> bool:
        """A boolean query parameter."""
        return truth(self.query.get(name, ""))

    def item(self, name: str) -> Json:
        """The object `name` of the body, as in `{"server": {…}}`; BadRequest without it."""
        value = self.body.get(name)
        if not isinstance(value, dict):
            raise BadRequest(f"Invalid input: the body has no object {name!r}.")
        return value


Handler = Callable[[Call], Response]
ErrorView = Callable[[CloudError], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


class Service:
    """Makes routes of one service: who calls, what the body is, and how its errors look."""

    def __init__(self, cloud: Cloud, url: str, error_view: ErrorView) -> None:
        self.cloud = cloud
        self.url = url
        self._error_view = error_view

    def route(self, path: str, **handlers: Handler) -> Route:
        """A route with a handler for each method, given in small letters (`get=…`)."""
        methods = {name.upper(): handler for name, handler in handlers.items()}
        if "GET" in methods:
            methods.setdefault("HEAD", methods["GET"])

        async def endpoint(request: Request) -> Response:
            try:
                caller = self.caller(request.headers.get("x-auth-token"))
                call = Call(
                    caller=caller,
                    path=request.path_params,
                    query=request.query_params,
                    headers=request.headers,
                    body=await read_body(request),
                    url=self.url,
                )
                return methods[request.method](call)
            except CloudError as error:
                return self._error_view(error)
            except Exception:
                log.exception("%s %s failed", request.method, request.url.path)
                return self._error_view(InternalError("The server has failed."))

        return Route(path, endpoint, methods=list(methods))

    def caller(self, secret: str | None) -> Caller:
        """The caller of a project-scoped token; Unauthorized for anything else."""
        token = self.cloud.identity.token(secret) if secret else None
        if token is None or token.project_id is None:
            raise Unauthorized
        return token.caller()


async def read_body(request: Request) -> Json:
    """The JSON object of a request, `{}` when it has none; BadRequest when it is not JSON."""
    raw = await request.body()
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise BadRequest("Malformed request body: it is not JSON.") from error
    return body if isinstance(body, dict) else {"": body}


def open_route(path: str, view: Callable[[], Response]) -> Route:
    """A route that anybody may read: the version documents."""

    async def endpoint(request: Request) -> Response:
        return view()

    return Route(path, endpoint, methods=["GET", "HEAD"])


def json_response(content: Json, status: int = 200) -> Response:
    """A JSON answer."""
    return JSONResponse(content, status_code=status)


def empty(status: int = 204) -> Response:
    """An answer without a body."""
    return Response(status_code=status)


_FAULT_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    503: "serviceUnavailable",
    504: "gatewayTimeout",
}


def fault_view(error: CloudError) -> Response:
    """Nova's and Cinder's body: `{"itemNotFound": {"code": 404, "message": "…"}}`."""
    if error.status == 401:
        return unauthorized_view(error)
    name = _FAULT_NAMES.get(error.status, "computeFault")
    content = {name: {"code": error.status, "message": error.message}}
    headers = {"Retry-After": "0"} if error.status == 413 else None
    return JSONResponse(content, error.status, headers=headers)


def unauthorized_view(error: CloudError) -> Response:
    """Keystone's body, which its middleware sends in front of every service."""
    content = {"error": {"code": error.status, "message": error.message, "title": "Unauthorized"}}
    return JSONResponse(content, error.status, headers={"WWW-Authenticate": "Keystone"})


def truth(text: object) -> bool:
    """OpenStack's reading of a boolean."""
    return str(text).strip().lower() in ("1", "t", "true", "on", "y", "yes")


def timestamp(seconds: float, *, zone: bool = True, micros: bool = False) -> str:
    """An ISO 8601 time in UTC; each service has its own opinion about zone and microseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    pattern = "%Y-%m-%dT%H:%M:%S" + (".%f" if micros else "") + ("Z" if zone else "")
    return moment.strftime(pattern)


def text_of(document: Json, name: str, default: str = "") -> str:
    """A string member of a document; BadRequest when it is of another type."""
    value = document.get(name, default)
    if value is None:
        return default
    if not isinstance(value, str):
        raise BadRequest(f"Invalid input for field/attribute {name}. {value!r} is not a string.")
    return value


def number_of(document: Json, name: str) -> int:
    """An integer member of a document, also as a string of digits; BadRequest otherwise."""
    value = document.get(name)
    digits = str(value).removeprefix("-")
    if not isinstance(value, (int, str)) or not (digits.isascii() and digits.isdigit()):
        raise BadRequest(f"Invalid input for field/attribute {name}. {value!r} is not an integer.")
    return int(value)


def strings_of(document: Json, name: str) -> dict[str, str]:
    """A member that maps strings to strings (metadata); BadRequest otherwise."""
    value = document.get(name) or {}
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise BadRequest(f"Invalid input for field/attribute {name}. It is not a map of strings.")
    return value


def names_of(document: Json, name: str) -> list[str]:
    """A member that is a list of strings; BadRequest otherwise."""
    value: Sequence[object] = document.get(name) or []
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise BadRequest(f"Invalid input for {name}. It is not a list of strings.")
    return [str(v) for v in value]
