"""What a handler answers, before it takes API Gateway's form; and what all typed answers share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

RETRY_AFTER_HEADER: Final = "Retry-After"
ALLOW_HEADER: Final = "Allow"
LOCATION_HEADER: Final = "Location"


def one_of(values: Iterable[str]) -> msgspec.Meta:
    """What a text is, for the document: a row that another release wrote may hold another one."""
    return msgspec.Meta(extra_json_schema={"enum": [str(value) for value in values]})


class View(msgspec.Struct, frozen=True):
    """An object in an answer: its class is what the published document says of it.

    What may be missing is `UNSET` then, and not told.
    """


class Response(msgspec.Struct, frozen=True):
    """A status, a body (None is an empty one) and headers beside those that each answer has."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}
