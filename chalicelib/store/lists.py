"""Lists of instances: a page of one tenant's, or of all tenants', with filters and in an order.

    one tenant's, by id        the index of the tenant, from the marker on
    one tenant's, sorted       all of the index of the tenant, at most `MOST_SORTED` rows
    everybody's                the table itself, which no index orders

What a page reads is bounded: one that filters may be short, or empty, and still have a next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import msgspec

from chalicelib.errors import BadRequest
from chalicelib.lifecycle import Status
from chalicelib.store.instances import find_instance
from chalicelib.store.models import Instance

READ_AT_ONCE: Final = 100
MOST_READ: Final = 1000
MOST_SORTED: Final = 2000
"""Some 3 MB, in three reads. A tenant of more gets its lists by id alone."""
SORTABLE: Final = ("id", "name", "created")
"""Attributes whose order is the same from page to page: only a rename moves an instance."""


class Filter(msgspec.Struct, frozen=True):
    """What instances have to be; None is anything. All of `tags` have to be there."""

    name: str | None = None
    status: str | None = None
    datastore: str | None = None
    datastore_version: str | None = None
    tags: frozenset[str] = frozenset()
    version_id: str | None = None

    def fits(self, row: Instance) -> bool:
        """Whether an instance is what is asked for."""
        return (
            self.name in (None, row.name)
            and self.status in (None, row.shown_status)
            and self.datastore in (None, row.datastore_name)
            and self.datastore_version
            in (None, row.datastore_version, row.datastore_version_number)
            and self.version_id in (None, row.datastore_version_id)
            and self.tags <= (row.tags or set())
        )


ANY: Final = Filter()


class Order(msgspec.Struct, frozen=True):
    """An order of instances by one of `SORTABLE`, and of those with the same value by id."""

    key: str
    descending: bool = False

    def place(self, row: Instance) -> tuple[Any, str]:
        """What is compared of an instance."""
        return getattr(row, self.key), row.id


class Page(NamedTuple):
    """A page of a list; `marker` is where the next one begins, None when there is none."""

    rows: list[Instance]
    marker: str | None


def of_tenant(
    tenant_id: str,
    limit: int,
    marker: str | None,
    wanted: Filter = ANY,
    order: Order | None = None,
) -> Page:
    """A page of a tenant's instances, by id unless there is another order.

    Raises `BadRequest` for an order of more than `MOST_SORTED`, or for a marker that it cannot
    place.
    """
    if order is not None:
        return _sorted(tenant_id, limit, marker, wanted, order)
    if wanted == ANY:
        after = Instance.id > marker if marker else None
        rows = list(Instance.tenant_index.query(tenant_id, after, limit=limit + 1))
        return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)

    def read(behind: str | None) -> tuple[list[Instance], bool]:
        after = Instance.id > behind if behind else None
        rows = list(Instance.tenant_index.query(tenant_id, after, limit=READ_AT_ONCE))
        return rows, len(rows) == READ_AT_ONCE

    return _chosen(read, limit, marker, wanted.fits)


def of_everybody(
    limit: int, marker: str | None, wanted: Filter, tenant_id: str | None, *, deleted: bool
) -> Page:
    """A page of all tenants' instances, or of those of one that are gone, which no index has."""

    def read(behind: str | None) -> tuple[list[Instance], bool]:
        key = {"id": {"S": behind}} if behind else None
        scanned = Instance.scan(limit=READ_AT_ONCE, last_evaluated_key=key)
        return list(scanned), scanned.last_evaluated_key is not None

    def fits(row: Instance) -> bool:
        gone = row.status == Status.DELETED
        return gone == deleted and tenant_id in (None, row.tenant_id) and wanted.fits(row)

    return _chosen(read, limit, marker, fits)


def _chosen(
    read: Callable[[str | None], tuple[list[Instance], bool]],
    limit: int,
    marker: str | None,
    fits: Callable[[Instance], bool],
) -> Page:
    """The first rows behind the marker that fit, of at most `MOST_READ`.

    `read` gives the rows behind an id, and whether there are more.
    """
    found: list[Instance] = []
    for _ in range(MOST_READ // READ_AT_ONCE):
        rows, more = read(marker)
        for row in rows:
            marker = row.id
            if fits(row):
                found.append(row)
                if len(found) == limit:
                    return Page(found, marker)
        if not more:
            return Page(found, None)
    return Page(found, marker)


def _sorted(tenant_id: str, limit: int, marker: str | None, wanted: Filter, order: Order) -> Page:
    rows = list(Instance.tenant_index.query(tenant_id, limit=MOST_SORTED + 1))
    if len(rows) > MOST_SORTED:
        raise BadRequest(f"A list of more than {MOST_SORTED} instances cannot be sorted.")
    following = sorted(_behind(rows, tenant_id, marker, order), key=order.place)
    if order.descending:
        following.reverse()
    page = [row for row in following if wanted.fits(row)]
    return Page(page[:limit], page[limit - 1].id if len(page) > limit else None)


def _behind(
    rows: list[Instance], tenant_id: str, marker: str | None, order: Order
) -> Iterable[Instance]:
    """The rows behind the one of the marker, which may be gone: its row is kept for a while."""
    if marker is None:
        return rows
    last = next((row for row in rows if row.id == marker), None) or find_instance(marker)
    if last is None or last.tenant_id != tenant_id:
        raise BadRequest("There is no instance of the marker.")
    place = order.place(last)
    return (
        row
        for row in rows
        if (order.place(row) < place if order.descending else order.place(row) > place)
    )
