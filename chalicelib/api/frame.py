"""What surrounds every handler: request id, token, project, policy, errors as Trove's faults.

API Gateway ─▶ Chalice ─▶ answer() ─▶ token ─▶ project in the path ─▶ policy ─▶ once ─▶ handler
                             └── any error ─▶ fault body, status, one line in the log
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar, get_args
from urllib.parse import unquote

import msgspec
from chalice.app import Request as GatewayRequest
from chalice.app import Response as GatewayResponse

from chalicelib import aws, crash, problems, tracing
from chalicelib.api import idempotency
from chalicelib.api.catalog import Catalog
from chalicelib.api.idempotency import Once
from chalicelib.api.links import Place, base_url
from chalicelib.api.rates import Rates
from chalicelib.api.response import ALLOW_HEADER, RETRY_AFTER_HEADER
from chalicelib.api.response import Response as Response
from chalicelib.api.schema import MAX_ID_LENGTH, Query, flag_of, parse
from chalicelib.auth import policy
from chalicelib.auth.containers import Found, OwnStore
from chalicelib.auth.context import Context
from chalicelib.auth.keystone import Authenticate
from chalicelib.auth.networks import Look
from chalicelib.domain.containers import Container
from chalicelib.errors import (
    BadRequest,
    CofferError,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    NotFound,
    NotSupported,
    OverLimit,
    Unauthorized,
    Unavailable,
)
from chalicelib.metrics import REQUEST_MS
from chalicelib.outages import is_outage
from chalicelib.store.base import Claim
from chalicelib.store.events import Asked

REQUEST_ID_HEADER: Final = "X-OpenStack-Request-Id"
CONTENT_TYPE_HEADER: Final = "Content-Type"
TRACEPARENT_HEADER: Final = "traceparent"
SERVER_FAILURES: Final = 500
ANSWER_SECONDS: Final = 27.0
"""So long a request may wait for others, from its begin on: API Gateway ends it after 29, with an
answer of its own."""
DRY_RUN: Final = "dry_run"
MAX_ADDRESS: Final = 45  # an IPv6 address with an IPv4 one in it
MAX_METHOD: Final = 16
MOST_ROLES: Final = 50
NO_ROUTE: Final = "none"

T = TypeVar("T")

log = logging.getLogger(__name__)


class Audit(msgspec.Struct):
    """Who asks for what: known piece by piece, and told in the one line that each request logs.

    Of a request that would change something the line is its audit record (`audit`), whether it was
    accepted or refused: it says by which right it was asked for, from where, and whose the instance
    is, which an administrator need not share a project with.
    """

    request_id: str
    action: str
    user_id: str | None = None
    tenant_id: str | None = None
    instance_id: str | None = None
    status: int | None = None
    audit: bool | None = None
    roles: list[str] | None = None
    admin: bool | None = None
    source_ip: str | None = None
    target: str | None = None
    owner_id: str | None = None

    def of_instance(self, instance_id: str, owner_id: str) -> None:
        """Which instance it is about, and whose that is."""
        self.instance_id = instance_id
        self.owner_id = owner_id if self.audit else None

    def fields(self) -> dict[str, Any]:
        """The fields of a log line; the formatter writes those that are known."""
        return msgspec.structs.asdict(self)


class Request(msgspec.Struct, frozen=True):
    """What a handler gets. `params` are the decoded path parameters, `query` the last values of
    those parameters that the route declares, none of them empty, and `reads` is what it says of the
    body. Nothing is waited for after `last_look`, seconds of Unix time."""

    method: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    place: Place
    audit: Audit
    last_look: float
    networks: Look
    containers: OwnStore
    catalog: Catalog
    reads: Any = None
    caller: Context | None = None
    once: Once | None = None

    @property
    def context(self) -> Context:
        """The caller; every route that is not public has one."""
        assert self.caller is not None, "a public route asked who calls"
        return self.caller

    def shown_network(self, nic: Mapping[str, str]) -> str | None:
        """The network of a nic, if Neutron shows the caller that it is its project's to use."""
        return self.networks(_token(self.headers), self.context.project_id, nic)

    def container(self, name: str, *, make: bool) -> Container | None:
        """A container of the caller's project that the deployment's key lies beside; None when it
        is not there and not to be made."""
        return self.containers.reach(_token(self.headers), self.context.project_id, name, make)

    def object_at(self, url: str) -> Found | None:
        """An object of the project's own containers, by its URL; None when it is not there."""
        return self.containers.find(_token(self.headers), self.context.project_id, url)

    @property
    def dry_run(self) -> bool:
        """Whether nothing is to be done, but told what would be."""
        return flag_of(self.query, DRY_RUN)

    @property
    def asked(self) -> Asked:
        """The caller and this request, for the rows of what they change."""
        return Asked(self.context.user_id, self.audit.request_id, self.context.project_id)

    def keeping(self, reply: Response) -> Claim | None:
        """What a transaction keeps as the answer to this request; None without a key."""
        return self.once.keeping(reply) if self.once is not None else None

    def json(self, kind: type[T]) -> T:
        """The body as that type, which is the one that the route declares."""
        assert kind in (self.reads, *get_args(self.reads)), "a body that no document tells of"
        return parse(self.body, self.headers.get("content-type", ""), kind)

    def id_of(self, name: str) -> str:
        """An id in the path; Trove allows it to end in `.json`. `NotFound` for what can be none.

        DynamoDB refuses keys that are empty or longer than 2 KiB.
        """
        text = self.params[name].removesuffix(".json")
        if not 0 < len(text) <= MAX_ID_LENGTH:
            raise NotFound("The resource could not be found.")
        return text


Handler = Callable[[Request], Response]


def for_administrators(request: Request) -> None:
    """See that the caller is one."""
    policy.require_admin(request.context)


class Route(msgspec.Struct, frozen=True):
    """One method of one path. Without a policy the handler asks for what it needs itself; what that
    is by the body and the caller alone it `permits`, before an answer is given that was kept.

    One that `plans` knows `dry_run`; any other that changes something is refused with it.

    The rest is what clients are told (`chalicelib.api.openapi`): the body that it `reads` (None in
    a union: it may be empty), or the table of those of which a body holds exactly one; the
    parameters of its `query`; the `status` and the body that it `answers`; what it `refuses`
    beside that which each route of its form may. `follow`: the answer may say where to look, when.
    """

    method: str
    path: str
    handler: Handler
    policy: str | None = None
    permits: Callable[[Request], None] | None = None
    public: bool = False
    plans: bool = False
    reads: Any = None
    query: type[Query] | None = None
    answers: Any = None
    status: int = 200
    refuses: tuple[type[CofferError], ...] = ()
    follow: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its query's parameters; `dry_run` is read everywhere, to be refused."""
        declared = self.query.__struct_fields__ if self.query is not None else ()
        return (*declared, DRY_RUN)


class Services(msgspec.Struct, frozen=True):
    """What the handlers of one app share: no module holds such state."""

    authenticate: Authenticate
    networks: Look
    containers: OwnStore
    catalog: Catalog
    rates: Rates


def answer(route: Route, raw: GatewayRequest, services: Services) -> GatewayResponse:
    """Run a route for a request of API Gateway; never raises."""
    audit = Audit(f"req-{aws.new_id()}", f"{route.method} {route.path}")
    with _logged(audit, f"{route.method} {route.path}", raw.headers):
        try:
            with crash.scope("api"):
                response = _handle(route, raw, services, audit)
        except CofferError as error:
            if error.status >= SERVER_FAILURES and not isinstance(error, NotSupported):
                log.warning("%s", error.message)
            response = _fault(error, raw.headers, audit.request_id)
        except Exception as error:
            log.exception("%s %s failed", route.method, route.path)
            told = _unexpected(audit.request_id, error)
            response = _fault(told, raw.headers, audit.request_id)
        audit.status = response.status
    return _to_gateway(response, audit.request_id)


def refuse(error: CofferError, method: str, headers: Mapping[str, str]) -> GatewayResponse:
    """An answer to a request, of these headers, that belongs to no route."""
    audit = Audit(f"req-{aws.new_id()}", f"{method[:MAX_METHOD]} {NO_ROUTE}", status=error.status)
    with _logged(audit, NO_ROUTE, headers):
        return _to_gateway(_fault(error, headers, audit.request_id), audit.request_id)


@contextlib.contextmanager
def _logged(audit: Audit, route: str, headers: Mapping[str, str]) -> Iterator[None]:
    """The one line of a request, and the begin of its trace or the next span of its client's."""
    said = next((headers[name] for name in headers if name.lower() == TRACEPARENT_HEADER), None)
    place = tracing.of_request(audit.request_id, said)
    own = audit.request_id
    with tracing.span(log, "request", place, name=own, request_id=own) as span:
        yield
        status = audit.status or SERVER_FAILURES
        outcome = "failed" if status >= SERVER_FAILURES else "refused" if status >= 400 else "done"
        span.tell(**audit.fields(), outcome=outcome)
        measured = {"route": route, "status_class": f"{status // 100}xx"}
        span.measure(REQUEST_MS, span.took_ms, **measured)


def _fault(error: CofferError, asked: Mapping[str, str], request_id: str) -> Response:
    accept = next((asked[name] for name in asked if name.lower() == "accept"), "")
    kind, body = problems.told(error, str(accept), request_id)
    headers = {CONTENT_TYPE_HEADER: kind}
    if isinstance(error, OverLimit) and error.retry_after_seconds is not None:
        headers[RETRY_AFTER_HEADER] = str(error.retry_after_seconds)
    if isinstance(error, MethodNotAllowed):
        headers[ALLOW_HEADER] = ", ".join(error.allowed)
    return Response(error.status, body, headers)


def _handle(route: Route, raw: GatewayRequest, services: Services, audit: Audit) -> Response:
    request = _read(route, raw, services, audit)
    if route.public:
        return route.handler(request)
    if route.method != "GET":
        _begin_audit(request, route, raw)
    context = services.authenticate(_token(request.headers))
    _tell_who(audit, context)
    audit.instance_id = request.params.get("instance", "")[:MAX_ID_LENGTH] or None
    services.rates.require(context.project_id, route.method)
    if request.params.get("project", context.project_id) != context.project_id:
        raise Forbidden("The token is not for the project in the path.")
    if route.policy is not None:
        policy.authorize(context, route.policy, context.project_id)
    if request.dry_run and route.method != "GET" and not route.plans:
        raise BadRequest("This request cannot be tried with 'dry_run'; nothing was done.")
    request = msgspec.structs.replace(request, caller=context)
    return idempotency.answered(request, route.handler, route.permits)


def _begin_audit(request: Request, route: Route, raw: GatewayRequest) -> None:
    """What is known before anybody is asked who it is."""
    audit = request.audit
    audit.audit = request.query.get(DRY_RUN, "").lower() != "true" or None
    audit.target = route.path.format_map(request.params)[:MAX_ID_LENGTH]
    came = raw.context.get("identity") or {}
    audit.source_ip = str(came.get("sourceIp") or "")[:MAX_ADDRESS] or None


def _tell_who(audit: Audit, context: Context) -> None:
    """Who it is, for the request's own line and for all that are written from now on."""
    audit.user_id, audit.tenant_id = context.user_id, context.project_id
    if audit.audit:
        audit.roles = sorted(context.roles)[:MOST_ROLES]
        audit.admin = context.is_admin
    if (span := tracing.current()) is not None:
        span.tell(user_id=context.user_id, tenant_id=context.project_id)


def _read(route: Route, raw: GatewayRequest, services: Services, audit: Audit) -> Request:
    headers = {name.lower(): str(value) for name, value in raw.headers.items()}
    given = dict(raw.query_params.items()) if raw.query_params else {}
    try:
        # API Gateway decodes a query, but no path (https://github.com/aws/chalice/issues/511).
        found = raw.uri_params or {}
        params = {name: unquote(text, errors="strict") for name, text in found.items()}
        body = raw.raw_body
        for text in (*params.values(), *given.values()):
            text.encode()
    except ValueError:  # broken base64, or what is no Unicode
        raise BadRequest("The request cannot be decoded.") from None
    query = {name: given[name] for name in route.parameters if name in given}
    if empty := [name for name, text in query.items() if not text]:
        raise BadRequest(f"The parameter '{empty[0]}' is empty; leave it out.")
    return Request(
        method=route.method,
        params=params,
        query=query,
        headers=headers,
        body=body if isinstance(body, bytes) else body.encode(),
        place=Place(base_url(headers, raw.context), route.path, params, given),
        audit=audit,
        last_look=aws.clock() + ANSWER_SECONDS,
        networks=services.networks,
        containers=services.containers,
        catalog=services.catalog,
        reads=dict[str, Any] if isinstance(route.reads, Mapping) else route.reads,
    )


def _token(headers: Mapping[str, str]) -> str:
    token = headers.get("x-auth-token", "")
    if not token:
        raise Unauthorized("The request you have made requires authentication.")
    return token


def _unexpected(request_id: str, error: Exception) -> CofferError:
    """503 when a service that we use is away; 500 for a mistake of ours."""
    if is_outage(error):
        return Unavailable(
            "A service that this request needs does not answer at the moment; try again."
        )
    return InternalError(
        "Internal Server Error. Please keep this ID to help us figure out what went wrong: "
        f"({request_id})."
    )


def _to_gateway(response: Response, request_id: str) -> GatewayResponse:
    headers: dict[str, str | list[str]] = {
        REQUEST_ID_HEADER: request_id,
        CONTENT_TYPE_HEADER: problems.JSON,
        **response.headers,
    }
    body = "" if response.body is None else msgspec.json.encode(response.body).decode()
    return GatewayResponse(body=body, headers=headers, status_code=response.status)
