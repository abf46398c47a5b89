"""One deployment of Coffer in virtual time: the shipped handlers on simulated services.

    workload ──http()──▶ api ─▶ DynamoDB, SQS ─▶ mappings ─▶ dispatcher ─▶ Step Functions ─▶ steps
       guests ──http(), SQS──▶ conductor, heartbeats ─▶ DynamoDB, task tokens

What is deployed comes from the files that are deployed: the template, the policies, the state
machines. No handler is forked or patched; each gets other clients.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

import app
from chalicelib.api import create_app
from chalicelib.auth.context import Context
from chalicelib.auth.networks import Look, nobody
from chalicelib.errors import Unauthorized
from chalicelib.store.models import Flavor
from functions import handler
from simulator import releases, template, versions
from simulator.aws.dynamodb.account import Chances as DataChances
from simulator.aws.lambda_ import ARN_PREFIX, Function, Lambda
from simulator.aws.mappings import Mapping as SourceMapping
from simulator.aws.policies import parsed
from simulator.aws.rights import Rights
from simulator.aws.schedules import Schedule
from simulator.aws.sqs.delivery import Chances as QueueChances
from simulator.aws.stepfunctions import StepFunctions, StepFunctionsClient
from simulator.effects import Effects
from simulator.inputs import DATASTORE
from simulator.kernel import Kernel
from simulator.services import SECRETS_PATH, Services

API_TIMEOUT_SECONDS: Final = 29.0
STEP_TIMEOUT_SECONDS: Final = 20.0
MEMORY_MIB: Final = 512
WARM_UP_SECONDS: Final = 0.4


class Reply(NamedTuple):
    """An answer of the API as API Gateway passes it on."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON; None when it is empty."""
        return json.loads(self.body) if self.body else None


OnAsk = Callable[[str, str, bytes], None]
OnReply = Callable[[str, str, Mapping[str, str], bytes, Reply], None]


class Region(Services):
    """The services, the functions on them, and the ways in."""

    def __init__(
        self,
        kernel: Kernel,
        *,
        network_id: str,
        options: Mapping[str, str] | None = None,
        data_chances: DataChances | None = None,
        queue_chances: QueueChances | None = None,
    ) -> None:
        super().__init__(
            Effects(kernel),
            network_id=network_id,
            options={"COFFER_DEFAULT_DATASTORE": DATASTORE, **(options or {})},
            data_chances=data_chances,
            queue_chances=queue_chances,
        )
        roles = template.roles(SecretsPath=SECRETS_PATH)
        self.rights = Rights({name: parsed(document) for name, document in roles.items()})
        self.effects.hooks.append(self.rights)
        self.lambda_ = Lambda(kernel)
        self.states = StepFunctions(kernel, self.lambda_)
        self.clients["stepfunctions"] = StepFunctionsClient(self.states, self.effects)
        self.tokens: dict[str, Context] = {}
        self.networks: Look = nobody
        """What Neutron shows a tenant; there is none before there is a cloud."""
        self.asked: list[OnAsk] = []
        """Called with each request before it is served: method, path, body."""
        self.replied: list[OnReply] = []
        """Called with each request and its reply: method, path, headers, body, reply."""
        self.mappings: dict[str, SourceMapping] = {}
        self.schedules: dict[str, Schedule] = {}

    # ---------------------------------------------------------------- begin and end

    def deploy(self) -> None:
        """Take the place of the real world and deploy everything."""
        super().deploy()
        self._deploy_functions()
        for source in template.mapped_queues():
            self.mappings[source.queue] = SourceMapping(
                self.kernel,
                self.lambda_,
                self.sqs,
                source.queue,
                source.function,
                batch_size=source.batch_size,
                window_seconds=source.window_seconds,
                partial=source.partial,
            )
        for rule in template.rules():
            event = json.loads(rule.event) if rule.event else None
            self.schedules[rule.name] = Schedule(
                self.kernel, self.lambda_, rule.name, rule.expression, rule.function, event
            )
        self.states.create_all(template.flows(), TASK_MANAGERS)

    def deploy_again(self, revision: int, within_seconds: float) -> None:
        """Update the stack while everything runs: each function and each flow at a moment of its
        own within so many seconds. Tables, queues, mappings and schedules stay as they are.

        `revision` is that of the flows (`releases.revised`); the code of the functions is the
        same, in new containers beside those that are still at work.
        """
        chance = self.kernel.stream("deploy")
        for function in self.lambda_.functions.values():
            after = chance.random() * within_seconds
            self.kernel.call_later(after, self.lambda_.update, function)
        for name, text in template.flows().items():
            after, text = chance.random() * within_seconds, releases.revised(text, revision)
            self.kernel.call_later(after, self.states.update, name, text, TASK_MANAGERS)

    def _deploy_functions(self) -> None:
        def step_of(event: Any) -> str:
            return str(event["step"])

        plain: dict[str, Callable[[Any, Any], Any]] = {
            "dispatcher": app.dispatcher,
            "conductor": app.conductor,
            "heartbeats": app.heartbeats,
            "dead-letters": app.dead_letters,
            "sweeper": app.sweeper,
        }
        for name, function in plain.items():
            self._add(name, _always(function), STEP_TIMEOUT_SECONDS)
        self._add(
            "api",
            lambda: create_app(self.authenticate, self.look_at_network, self.swift),
            API_TIMEOUT_SECONDS,
        )
        self._add("taskmanager", lambda: handler.local, STEP_TIMEOUT_SECONDS, step_of)
        self._add("taskmanager-cloud", lambda: handler.cloud, STEP_TIMEOUT_SECONDS, step_of)

    def _add(
        self,
        name: str,
        make_handler: Callable[[], Callable[[Any, Any], Any]],
        timeout_seconds: float,
        scope: Callable[[Any], str] | None = None,
    ) -> None:
        self.lambda_.add(
            Function(
                template.name(name),
                make_handler,
                timeout_seconds=timeout_seconds,
                memory_mib=MEMORY_MIB,
                scope=scope,
                initialisation_seconds=WARM_UP_SECONDS,
            )
        )

    def seed(self, flavors: list[Flavor]) -> None:
        """Put a datastore on offer, and flavors, as a deployer would."""
        versions.seed()
        for flavor in flavors:
            flavor.save()

    # ---------------------------------------------------------------------- ways in

    def log_in(self, project_id: str, *roles: str) -> str:
        """A token for a user of a project."""
        token = f"token-{project_id}-{'-'.join(roles)}"
        self.tokens[token] = Context(f"user-{project_id}", "user", project_id, frozenset(roles))
        return token

    def authenticate(self, token: str) -> Context:
        """Keystone's part: who a token stands for."""
        found = self.effects.perform("keystone", "validate", lambda: self.tokens.get(token))
        if found is None:
            raise Unauthorized("The request you have made requires authentication.")
        return found

    def look_at_network(self, token: str, project_id: str, nic: Mapping[str, str]) -> str | None:
        """Neutron's part: what it shows a tenant of a nic's network."""
        return self.effects.perform(
            "neutron", "look", lambda: self.networks(token, project_id, nic)
        )

    def http(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Call the API from inside a coroutine, as through API Gateway."""
        for ask in self.asked:
            ask(method, path, body)
        reply = self._reply(method, path, headers, body)
        for watch in self.replied:
            watch(method, path, headers, body, reply)
        return reply

    def _reply(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        event = _proxy_event(method, path, headers, body)
        if event is None:
            return Reply(404, {}, _fault("itemNotFound", 404, "The resource could not be found."))
        answer = self.lambda_.call(template.name("api"), event, "http")
        if answer.error is not None:
            # What the template's gateway responses say for a function that died or timed out.
            return Reply(503, {}, _fault("serviceUnavailable", 503, "The API did not answer."))
        result = answer.result
        return Reply(result["statusCode"], result["headers"], result["body"].encode())


TASK_MANAGERS: Final = {
    "TaskManagerArn": ARN_PREFIX + template.name("taskmanager"),
    "TaskManagerCloudArn": ARN_PREFIX + template.name("taskmanager-cloud"),
}


def _always(function: Callable[[Any, Any], Any]) -> Callable[[], Callable[[Any, Any], Any]]:
    """A maker of handlers for a function that keeps nothing between invocations."""
    return lambda: function


def _fault(name: str, code: int, message: str) -> bytes:
    return msgspec.json.encode({name: {"code": code, "message": message}})


_ROUTES: Final = tuple(
    (method, route, route.strip("/").split("/"))
    for route, methods in create_app().routes.items()
    for method in methods
)


def _fits(route: tuple[str, str, list[str]], method: str, parts: list[str]) -> bool:
    known, _, pattern = route
    return (
        known == method
        and len(pattern) == len(parts)
        and all(each == part or each[:1] == "{" for each, part in zip(pattern, parts, strict=True))
    )


def _proxy_event(
    method: str, target: str, headers: Mapping[str, str], body: bytes
) -> dict[str, Any] | None:
    """API Gateway's event for a request, or None where it has no such route.

    It decodes a query, and leaves what is in a path as it was sent.
    """
    path, _, query = target.partition("?")
    parts = path.strip("/").split("/")
    found = next((route for route in _ROUTES if _fits(route, method, parts)), None)
    if found is None:
        return None
    _, resource, pattern = found
    parameters = {
        each[1:-1]: part for each, part in zip(pattern, parts, strict=True) if each[:1] == "{"
    }
    queries = parse_qsl(query, keep_blank_values=True)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": dict(queries) or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in queries} or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {
            "httpMethod": method,
            "resourcePath": resource,
            "path": f"/api{path}",
            "stage": "api",
            "identity": {"sourceIp": "127.0.0.1"},
        },
        "body": body.decode() if body else None,
        "isBase64Encoded": False,
    }
