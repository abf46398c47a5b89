"""An answer of the API, held against the document that it publishes (`chalicelib.api.openapi`).

What the document does not tell of is a complaint: a status, a media type, an attribute of a body
(the document leaves clients open to more attributes; a test of this release is not).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from jsonschema_rs import Draft202012Validator, Registry

from chalicelib.api import openapi
from chalicelib.api.application import ROUTES

DOCUMENT: Final = "urn:coffer:openapi"
JSON: Final = "application/json"


class Operation(NamedTuple):
    """What the document says of one method of one path."""

    pattern: tuple[str, ...]
    responses: Mapping[str, Any]


class Described:
    """The document, ready to be asked; a validator is made when it is needed first."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = closed(document)
        self._registry = Registry([(DOCUMENT, self._document)])
        self._validators: dict[str, Draft202012Validator] = {}
        self._operations: dict[tuple[str, int], list[Operation]] = {}
        for path, methods in self._document["paths"].items():
            pattern = _segments(path)
            for method, operation in methods.items():
                key = (method.upper(), len(pattern))
                found = Operation(pattern, operation["responses"])
                self._operations.setdefault(key, []).append(found)
        for operations in self._operations.values():
            operations.sort(key=lambda each: sum(part[:1] == "{" for part in each.pattern))

    def complaint(
        self, method: str, target: str, status: int, media_type: str, body: str | bytes
    ) -> str | None:
        """What of an answer the document does not tell; None when it tells all of it."""
        found = self._find(method, target)
        if found is None:
            return "the document has no such path and method"
        response = found.responses.get(str(status))
        if response is None:
            return f"status {status} is not described"
        content = self._resolved(response).get("content")
        if not content:
            return "a body is not described" if body else None
        chosen = content.get(media_type.partition(";")[0] or JSON)
        if chosen is None:
            return f"media type {media_type!r} is not described"
        try:
            told = json.loads(body)
        except ValueError:
            return f"the body is no JSON: {body[:60]!r}"
        return next(self._complaints(chosen["schema"], told), None)

    def _find(self, method: str, target: str) -> Operation | None:
        """The operation of a path; a literal wins over a place."""
        parts = _segments(target.partition("?")[0])
        return next(
            (each for each in self._operations.get((method, len(parts)), ()) if _fits(each, parts)),
            None,
        )

    def _resolved(self, response: dict[str, Any]) -> dict[str, Any]:
        reference = response.get("$ref")
        if reference is None:
            return response
        named: dict[str, Any] = self._document["components"]["responses"]
        found: dict[str, Any] = named[reference.rpartition("/")[2]]
        return found

    def _complaints(self, schema: dict[str, Any], told: Any) -> Iterator[str]:
        key = json.dumps(schema)
        if key not in self._validators:
            self._validators[key] = Draft202012Validator(
                _within(schema), registry=self._registry, validate_formats=True
            )
        for error in self._validators[key].iter_errors(told):
            yield f"{error.message[:200]} at {'/'.join(map(str, error.instance_path)) or 'the top'}"


@cache
def published() -> Described:
    """The document of this release."""
    return Described(openapi.document(ROUTES))


def closed(schema: Any) -> Any:
    """The same in which no object has attributes that are not named."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    told = {name: closed(value) for name, value in schema.items()}
    if told.get("type") == "object" and "properties" in told:
        told.setdefault("additionalProperties", False)
    return told


def _within(schema: Any) -> Any:
    """The same with references that lead into the document from elsewhere."""
    if isinstance(schema, list):
        return [_within(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        name: f"{DOCUMENT}{value}" if name == "$ref" else _within(value)
        for name, value in schema.items()
    }


def _segments(path: str) -> tuple[str, ...]:
    return tuple(each for each in path.split("/") if each)


def _fits(operation: Operation, parts: tuple[str, ...]) -> bool:
    pairs = zip(operation.pattern, parts, strict=True)
    return all(each[:1] == "{" or each == part for each, part in pairs)
