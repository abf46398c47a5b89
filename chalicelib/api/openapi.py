"""The OpenAPI 3.1 document of this API, rendered from the routes as they are declared.

What is said of one route stands in its `Route`: its types, and the docstring of its handler. What
is true of all routes of a form (a token, a rate, an Idempotency-Key) is said here, once.
Decision 47.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, get_args

import msgspec

from chalicelib import problems
from chalicelib.api import idempotency
from chalicelib.api.frame import DRY_RUN, REQUEST_ID_HEADER, Route
from chalicelib.api.planning import Planned
from chalicelib.api.response import LOCATION_HEADER, RETRY_AFTER_HEADER
from chalicelib.errors import (
    BadRequest,
    CofferError,
    Conflict,
    Fault,
    Forbidden,
    InternalError,
    NotFound,
    NotSupported,
    OverLimit,
    Unauthorized,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
)
from chalicelib.settings import API_VERSION

OPENAPI: Final = "3.1.0"
TOKEN: Final = "token"  # noqa: S105 - the name of the scheme
NOT_SERVED: Final = "not served"

ALWAYS: Final = (BadRequest, OverLimit, InternalError, Unavailable)
WITH_A_TOKEN: Final = (Unauthorized, Forbidden)
WITH_A_KEY: Final = (Conflict, Unprocessable)

HEADERS: Final = {
    REQUEST_ID_HEADER: "The id under which the log has the request.",
    LOCATION_HEADER: "Where what was accepted can be seen.",
    RETRY_AFTER_HEADER: "In how many seconds it is worth while to ask again.",
    idempotency.REPLAYED_HEADER: "`true`: the answer is that to an earlier request.",
}
PLACES: Final = {
    "project": "The project that the token is for.",
    "instance": "The id of an instance.",
    "operation": "The id of an operation.",
    "rollout": "The id of a rollout.",
    "tenant": "The id of the project whose quotas are meant.",
    "flavor": "The `str_id` of a flavor.",
    "datastore": "The name or the id of a datastore.",
    "version": "The name or the id of a datastore version.",
    "database": "The name of a database.",
    "configuration": "The id of a configuration group.",
    "parameter": "The name of a parameter.",
    "user": "`name@host`; without a host, any host.",
}
"""What stands in a path; the others are those of what is not served."""

_PLACE: Final = re.compile(r"\{(\w+)\}")
_KEY: Final = {"type": "string", "pattern": rf'^"?[!#-~]{{1,{idempotency.MOST_KEY}}}"?$'}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The document, without the URL of a server: each deployment has its own."""
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    errors = {error for route in routes for error in refusals(route)}
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Coffer",
            "summary": "Databases as a service: OpenStack Trove's API v1.0.",
            "version": API_VERSION.removeprefix("v"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{TOKEN: []}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(route) for route in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "responses": {each.__name__: _refusal(each) for each in sorted(errors, key=_status)},
            "headers": {name: _header(text) for name, text in HEADERS.items()},
            "securitySchemes": {
                TOKEN: {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Auth-Token",
                    "description": "A token of Keystone, for the project in the path.",
                }
            },
        },
    }


def refusals(route: Route) -> list[type[CofferError]]:
    """The errors that a route may answer, by their status; one for each."""
    found: set[type[CofferError]] = {*ALWAYS, *route.refuses}
    if not route.public:
        found.update(WITH_A_TOKEN)
    if not route.public and route.method == "POST":
        found.update(WITH_A_KEY)
    if set(_PLACE.findall(route.path)) - {"project"}:
        found.add(NotFound)
    if route.reads is not None:
        found.add(UnsupportedMediaType)
    if route.status == NotSupported.status:
        found.add(NotSupported)
    return sorted(found, key=_status)


def bodies(route: Route) -> Mapping[str, Any]:
    """The types of what a route reads: by name where a body holds exactly one of several."""
    if isinstance(route.reads, Mapping):
        return route.reads
    members = [each for each in get_args(route.reads) if each is not type(None)] or [route.reads]
    return {"": members[0]} if members[0] is not None else {}


class _Schemas:
    """The schemas of all types that the routes name."""

    def __init__(self, routes: Iterable[Route]) -> None:
        types: dict[Any, None] = dict.fromkeys((Fault, problems.Problem, Planned))
        for route in routes:
            types.update(dict.fromkeys(bodies(route).values()))
            if route.answers is not None:
                types[route.answers] = None
        schemas, self.named = msgspec.json.schema_components(
            types, ref_template="#/components/schemas/{name}"
        )
        self._of = dict(zip(types, schemas, strict=True))

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of one type."""
        found: dict[str, Any] = self._of[kind]
        return found


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(route.handler.__doc__ or "").partition("\n")
    told: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": summary.strip().removesuffix("."),
        "tags": [_tag(route)],
        "parameters": [*_places(route), *_query(route), *_headers(route)],
        "responses": {**_success(route, schemas), **_refused(route)},
    }
    if description.strip():
        told["description"] = description.strip()
    if route.public:
        told["security"] = []
    if route.reads is not None:
        told["requestBody"] = _body(route, schemas)
    return told


def _operation_id(route: Route) -> str:
    """The method and the path, which no two routes share."""
    path = route.path.removeprefix(f"/{API_VERSION}").removeprefix("/{project}")
    return "_".join([route.method.lower(), *re.findall(r"\w+", path or "version")])


def _tag(route: Route) -> str:
    if route.status == NotSupported.status:
        return NOT_SERVED
    return route.handler.__module__.rpartition(".")[2].replace("_", " ")


def _places(route: Route) -> Iterator[dict[str, Any]]:
    for name in _PLACE.findall(route.path):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": PLACES.get(name, f"The id of a {name}."),
            "schema": {"type": "string", "minLength": 1},
        }


def _query(route: Route) -> Iterator[dict[str, Any]]:
    if route.query is not None:
        _, named = msgspec.json.schema_components([route.query])
        for name, schema in named[route.query.__name__]["properties"].items():
            yield {"name": name, "in": "query", **_parameter(schema)}
    if route.plans:
        described = "Nothing is done: the answer tells what would be."
        schema = {"type": "boolean", "default": False}
        yield {"name": DRY_RUN, "in": "query", "description": described, "schema": schema}


def _parameter(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be missing, which `null` says of a field and nothing of a URL."""
    (given,) = (each for each in schema["anyOf"] if each != {"type": "null"})
    if given.get("type") == "string" and "enum" not in given:
        given.setdefault("minLength", 1)  # an empty one is refused wherever it stands
    described = given.pop("description", None)
    return {"schema": given, **({"description": described} if described else {})}


def _headers(route: Route) -> Iterator[dict[str, Any]]:
    if route.method == "POST" and not route.public:
        described = (
            "However often it is sent with one key, the request has one effect and one answer."
        )
        yield {"name": "Idempotency-Key", "in": "header", "description": described, "schema": _KEY}


def _body(route: Route, schemas: _Schemas) -> dict[str, Any]:
    kinds = bodies(route)
    if "" in kinds:
        schema = schemas.of(kinds[""])
        examples = _examples(kinds[""])
    else:
        schema = {"oneOf": [_one_of(name, schemas.of(kind)) for name, kind in kinds.items()]}
        examples = [
            {name: each} for name, kind in kinds.items() for each in _examples(kind) or [{}]
        ]
    told: dict[str, Any] = {"schema": schema}
    if examples:
        told["examples"] = {f"{at}": {"value": each} for at, each in enumerate(examples, 1)}
    required = type(None) not in get_args(route.reads)
    return {"required": required, "content": {problems.JSON: told}}


def _examples(kind: Any) -> list[Any]:
    return list(getattr(kind, "EXAMPLES", ()))


def _one_of(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "title": name,
        "properties": {name: {"anyOf": [schema, {"type": "null"}]}},
        "required": [name],
        "additionalProperties": False,
    }


def _success(route: Route, schemas: _Schemas) -> dict[str, Any]:
    if route.status == NotSupported.status:
        return {}
    names = [REQUEST_ID_HEADER]
    names += [LOCATION_HEADER, RETRY_AFTER_HEADER] if route.follow else []
    names += [idempotency.REPLAYED_HEADER] if any(_headers(route)) else []
    answers: dict[int, list[Any]] = {route.status: [route.answers] if route.answers else []}
    if route.plans:
        answers.setdefault(200, []).append(Planned)
    return {
        str(status): {
            "description": "Accepted." if status == 202 else "Done.",
            "headers": _named(names),
            **_content([schemas.of(kind) for kind in kinds]),
        }
        for status, kinds in sorted(answers.items())
    }


def _content(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    if not schemas:
        return {}
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"content": {problems.JSON: {"schema": schema}}}


def _refused(route: Route) -> dict[str, Any]:
    return {
        str(error.status): {"$ref": f"#/components/responses/{error.__name__}"}
        for error in refusals(route)
    }


def _refusal(error: type[CofferError]) -> dict[str, Any]:
    """Trove's fault, or a problem document for whoever accepts one."""
    said = inspect.cleandoc(error.__doc__ or "")
    example = error(said)
    fault = {
        "type": "object",
        "properties": {error.fault: {"$ref": f"#/components/schemas/{Fault.__name__}"}},
        "required": [error.fault],
    }
    problem = {"$ref": f"#/components/schemas/{problems.Problem.__name__}"}
    retry = [RETRY_AFTER_HEADER] if issubclass(error, OverLimit) else []
    return {
        "description": said,
        "headers": _named([REQUEST_ID_HEADER, *retry]),
        "content": {
            problems.JSON: {"schema": fault, "example": msgspec.to_builtins(example.body())},
            problems.PROBLEM: {
                "schema": problem,
                "example": msgspec.to_builtins(problems.problem(example)),
            },
        },
    }


def _named(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"}}


def _status(error: type[CofferError]) -> int:
    return error.status
