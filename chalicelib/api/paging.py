"""Pagination as Trove does it: `limit` (clamped to the page size), `marker`, one `next` link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chalicelib.errors import BadRequest
from chalicelib.settings import settings

MAX_MARKER_LENGTH: Final = 255


def limit_of(query: Mapping[str, str]) -> int:
    """How many items a page has; a larger wish is clamped, a senseless one refused."""
    page_size = settings().page_size
    wish = query.get("limit")
    if not wish:
        return page_size
    if not (wish.isascii() and wish.isdigit() and int(wish[:10]) > 0):
        raise BadRequest("The limit must be a positive integer.")
    return min(int(wish[:10]), page_size)


def marker_of(query: Mapping[str, str]) -> str | None:
    """The last item of the page before, or None for the first page."""
    marker = query.get("marker") or None
    if marker is not None and len(marker) > MAX_MARKER_LENGTH:
        raise BadRequest("The marker is too long.")
    return marker
