"""What a handler answers, before it takes API Gateway's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

RETRY_AFTER_HEADER: Final = "Retry-After"
LOCATION_HEADER: Final = "Location"


class Response(msgspec.Struct, frozen=True):
    """A status, a body (None is an empty one) and headers beside those that each answer has."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}
