"""Request bodies: JSON into typed structures, with Trove's words when they do not fit."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Final, TypeVar, cast

import msgspec

from chalicelib.errors import BadRequest, NotFound, OverLimit, UnsupportedMediaType

MAX_BODY_BYTES: Final = 64 * 1024
CONTENT_TYPES: Final = ("application/json", "application/vnd.openstack.trove+json")

Text = Annotated[str, msgspec.Meta(max_length=255)]
"""A string that fits where Trove has VARCHAR(255)."""

Given = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
"""The same, when it says something: an empty string is not a way to leave a thing out."""

Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"[^/]$(?!\n)")]
"""An id, or a URL that ends in it, of which Trove takes the end (`id_at_end`)."""
MAX_ID_LENGTH: Final = 255

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern="[0-9A-Za-z]")]
"""Trove's `non_empty_string`: 1 to 255 characters, at least one letter or digit."""

Examples = tuple[dict[str, Any], ...]

T = TypeVar("T")


class Query(msgspec.Struct, frozen=True):
    """Parameters of a URL: what is not in the class that a route names, its handler never sees."""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object in a request. An attribute that is not known is refused: it has a purpose.

    Trove is as strict in an update and lax in a create, where a misspelt `restore_point` would make
    an empty instance. What python-troveclient 8.11, openstacksdk 4.22, gophercloud's `db/v1` (so
    Terraform) and Heat send is in these classes, but for what Trove refuses (`port-id` in a nic).
    """

    EXAMPLES: ClassVar[Examples] = ()
    """Bodies that the published document shows; a test reads each of them."""


_AT: Final = re.compile(r"(?P<problem>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.{0,64}).*`", re.DOTALL)
_STEP: Final = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")


@cache
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def parse(body: bytes, content_type: str, kind: type[T]) -> T:
    """The body as `kind`; `BadRequest`, `UnsupportedMediaType` or `OverLimit` when it is not one.

    Messages name the field and what is expected, and never repeat a value: it may be a password.
    """
    if not body:
        raise BadRequest("The request body is missing.")
    media_type = content_type.split(";")[0].strip().lower()
    if media_type and media_type not in CONTENT_TYPES:
        raise UnsupportedMediaType(f"Unsupported Content-Type; use {CONTENT_TYPES[0]}.")
    if len(body) > MAX_BODY_BYTES:
        raise OverLimit(f"The request body is larger than {MAX_BODY_BYTES} bytes.")
    decoder = _decoder(cast(Hashable, kind))
    try:
        decoded: T = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Validation error: {explain(str(error))}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadRequest("Malformed request body: it is not valid JSON.") from None
    return decoded


def fitted(value: Any, kind: type[T], name: str) -> T:
    """A part of a body that was read already, as `kind`; `BadRequest` names it."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Validation error: {name} {explain(str(error))}") from None


def id_at_end(reference: str) -> str:
    """The id that a reference is or ends in; `NotFound` for what can be none (DynamoDB refuses keys
    that are longer than 2 KiB)."""
    found = reference.rpartition("/")[2]
    if len(found) > MAX_ID_LENGTH:
        raise NotFound("The resource could not be found.")
    return found


def flag_of(query: Mapping[str, str], name: str) -> bool:
    """A parameter that is a flag; `BadRequest` for a value that could be meant either way."""
    given = query.get(name, "false").lower()
    if given not in ("true", "false"):
        raise BadRequest(f"{name!r} must be true or false.")
    return given == "true"


def explain(problem: str) -> str:
    """A complaint of the decoder in the form of Trove's: `instance 'name' is a required property`.

    Paths look like `instance['users'][2]['name']`.
    """
    found = _AT.fullmatch(problem)
    if found is None:
        return problem
    steps = [step["name"] or int(step["index"]) for step in _STEP.finditer(found["path"] or "")]
    path = f"{steps[0]}" + "".join(f"[{step!r}]" for step in steps[1:]) if steps else ""
    text = found["problem"].replace("`", "")
    if missing := _MISSING.fullmatch(found["problem"]):
        text = f"{missing[1]!r} is a required property"
    if unknown := _UNKNOWN.fullmatch(found["problem"]):
        text = f"Additional properties are not allowed ({unknown[1]!r} was unexpected)"
    return f"{path} {text}" if path else text
