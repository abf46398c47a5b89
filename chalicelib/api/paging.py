"""Pagination as Trove does it: `limit` (clamped to the page size), `marker`, one `next` link."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import quote, unquote

import msgspec

from chalicelib.api.schema import MAX_ID_LENGTH, Query
from chalicelib.errors import BadRequest
from chalicelib.settings import settings

MAX_NAME_LENGTH: Final = 2048
"""Enough for the longest `name@host`, each of its bytes quoted."""

_QUOTED: Final = re.compile(r"%[0-9A-F]{2}[A-Za-z0-9_.~%-]*")


Limit = Annotated[
    int,
    msgspec.Meta(ge=1, description="How many items a page has, at most as many as the service's."),
]


class Paged(Query, frozen=True):
    """A page of a list of things with ids."""

    limit: Limit | None = None
    marker: (
        Annotated[
            str,
            msgspec.Meta(
                max_length=MAX_ID_LENGTH, description="The id of the last item of the page before."
            ),
        ]
        | None
    ) = None


class PagedNames(Query, frozen=True):
    """A page of a list of names."""

    limit: Limit | None = None
    marker: (
        Annotated[
            str,
            msgspec.Meta(
                max_length=MAX_NAME_LENGTH,
                description="The marker of the `next` link, or the last name of the page before.",
            ),
        ]
        | None
    ) = None


def limit_of(query: Mapping[str, str], most: int | None = None) -> int:
    """How many items a page has; a larger wish than that, or than the usual size, is clamped, a
    senseless one refused."""
    page_size = settings().page_size
    wish = query.get("limit")
    if wish is None:
        return page_size
    if not (wish.isascii() and wish.isdigit() and int(wish[:10]) > 0):
        raise BadRequest("The limit must be a positive integer.")
    return min(int(wish[:10]), most or page_size)


def marker_of(query: Mapping[str, str], longest: int = MAX_ID_LENGTH) -> str | None:
    """The last item of the page before, or None for the first page."""
    marker = query.get("marker")
    if marker is not None and len(marker) > longest:
        raise BadRequest("The marker is too long.")
    return marker


def quoted(marker: str) -> str:
    """A name as the marker of a `next` link: quoted once more than the URL needs it, as in Trove.

    Its client takes the marker out of the link and sends it on as it is, where `#` and `&` would
    cut it off; others follow the link. The first character is always quoted, so that what arrives
    can be told from a plain name however often it was decoded on the way.
    """
    first = "".join(f"%{byte:02X}" for byte in marker[:1].encode())
    return first + quote(marker[1:], safe="")


def name_marker_of(query: Mapping[str, str]) -> str | None:
    """The marker of a list of names: quoted as in a link, or plain as a person writes it."""
    marker = marker_of(query, MAX_NAME_LENGTH)
    if marker is None or not _QUOTED.fullmatch(marker):
        return marker
    return unquote(marker)
