"""Which instances a list shows, and in which order: filters, and a sort key.

    ?name=…&status=…&datastore=…&datastore_version=…&tags=a,b     all that are given have to fit
    ?sort_key=created|name|id&sort_dir=asc|desc                   else ordered by id

Trove has none of them. The marker is an id in every order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from chalicelib.api.paging import Paged
from chalicelib.api.response import one_of
from chalicelib.domain import bounds
from chalicelib.errors import BadRequest
from chalicelib.lifecycle import Status
from chalicelib.status import RESTART_REQUIRED
from chalicelib.store.lists import SORTABLE, Filter, Order

LONGEST: Final = 255
DIRECTIONS: Final = {"asc": False, "desc": True}


Short = Annotated[str, msgspec.Meta(max_length=LONGEST)]
Tags = Annotated[str, msgspec.Meta(description="With commas between; all of them have to fit.")]


class Listed(Paged, frozen=True):
    """Which instances, in which order, and which page of them."""

    name: Short | None = None
    status: Annotated[str, one_of([*Status, RESTART_REQUIRED])] | None = None
    datastore: Short | None = None
    datastore_version: Short | None = None
    tags: Tags | None = None
    sort_key: Annotated[str, one_of(SORTABLE)] | None = None
    sort_dir: Annotated[str, one_of(DIRECTIONS)] | None = None


def filter_of(query: Mapping[str, str]) -> Filter:
    """What the query asks for; `BadRequest` for what no instance can be."""
    for name in ("name", "datastore", "datastore_version"):
        if len(query.get(name, "")) > LONGEST:
            raise BadRequest(f"The '{name}' is too long.")
    status = query.get("status", "").upper() or None
    if status is not None and status not in [*Status, RESTART_REQUIRED]:
        raise BadRequest(f"There is no status '{status[:LONGEST]}'.")
    tags = frozenset(tag for tag in query.get("tags", "").split(",") if tag)
    if len(tags) > bounds.MAX_TAGS:
        raise BadRequest(f"An instance has at most {bounds.MAX_TAGS} tags.")
    return Filter(
        name=query.get("name"),
        status=status,
        datastore=query.get("datastore"),
        datastore_version=query.get("datastore_version"),
        tags=tags,
    )


def order_of(query: Mapping[str, str]) -> Order | None:
    """The order asked for; None is that of the ids."""
    key, direction = query.get("sort_key"), query.get("sort_dir")
    if key is None and direction is None:
        return None
    if key not in (None, *SORTABLE) or direction not in (None, *DIRECTIONS):
        raise BadRequest(
            f"The 'sort_key' must be one of {', '.join(SORTABLE)}, the 'sort_dir' asc or desc."
        )
    return Order(key or "id", descending=DIRECTIONS[direction or "asc"])
