"""Lists of backups, newest first as in Trove: of a project, of an instance, or of everybody.

    of a project      an index by time, which a deployment of an older release gets while it is
                      updated: until it is there, the newest of those that the index by id has
    of an instance    the index of its backups
    of everybody      project by project, since no index has all; without those that are gone

A marker is the id of the last one before; its place is known as long as its row is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pynamodb.exceptions import QueryError

from chalicelib.errors import BadRequest
from chalicelib.store.backups import find_backup
from chalicelib.store.base import INDEXES
from chalicelib.store.models import Backup

READ_AT_ONCE: Final = 200
MOST_READ: Final = 1000
"""Rows that a page with a filter reads at most: it may be short, and have a next one."""
MOST_SORTED: Final = 2000
"""Of a project whose index by time is not there yet."""

Fits = Callable[[Backup], bool]
Key = dict[str, dict[str, Any]]
"""Where a page begins, as the service takes it."""

log = logging.getLogger(__name__)


class Page(NamedTuple):
    """A page of backups; `marker` is where the next one begins, None when there is none."""

    rows: list[Backup]
    marker: str | None


def everything(_: Backup) -> bool:
    """What a list shows that filters nothing."""
    return True


def of_tenant(tenant_id: str, limit: int, marker: str | None, fits: Fits = everything) -> Page:
    """A page of a tenant's backups, newest first; `BadRequest` for a marker that is none of it."""
    last = _last(marker, lambda row: row.tenant_id == tenant_id)

    def read(behind: Backup | None, number: int) -> list[Backup]:
        key = _key("index_tenant", tenant_id, behind)
        try:
            return list(
                Backup.time_index.query(
                    tenant_id, scan_index_forward=False, limit=number, last_evaluated_key=key
                )
            )
        except QueryError as error:
            if error.cause_response_code != "ValidationException":
                raise
            log.warning("the index of backups by time is not there yet: %s", error.msg)
            return _by_id(tenant_id, behind, number)

    return _chosen(read, limit, last, fits)


def of_instance(
    instance_id: str,
    limit: int,
    marker: str | None,
    fits: Fits = everything,
    tenant_id: str | None = None,
) -> Page:
    """The same of an instance's backups, as far as they are that tenant's, if one is given."""

    def is_theirs(row: Backup) -> bool:
        return row.instance_id == instance_id and tenant_id in (None, row.tenant_id)

    last = _last(marker, is_theirs)

    def read(behind: Backup | None, number: int) -> list[Backup]:
        key = _key("index_source", instance_id, behind)
        return list(
            Backup.source_index.query(
                instance_id, scan_index_forward=False, limit=number, last_evaluated_key=key
            )
        )

    return _chosen(read, limit, last, lambda row: is_theirs(row) and fits(row))


def of_everybody(limit: int, marker: str | None, fits: Fits = everything) -> Page:
    """A page of all tenants' backups, those of one beside each other."""
    last = _last(marker, everything)

    def read(behind: Backup | None, number: int) -> list[Backup]:
        key: Key | None = None
        if behind is not None:
            key = {"index_tenant": {"S": behind.tenant_id}, "id": {"S": behind.id}}
        return list(Backup.scan(index_name=INDEXES.TENANT, limit=number, last_evaluated_key=key))

    return _chosen(read, limit, last, fits)


def _last(marker: str | None, is_of_it: Fits) -> Backup | None:
    """The row that a page begins behind. One of another list is told from none by nobody: where it
    would stand tells when it was made."""
    if marker is None:
        return None
    row = find_backup(marker)
    if row is None or not is_of_it(row):
        raise BadRequest("There is no backup of the marker.")
    return row


def _key(name: str, value: str, behind: Backup | None) -> Key | None:
    if behind is None:
        return None
    return {
        name: {"S": value},
        "created": {"N": repr(float(behind.created))},
        "id": {"S": behind.id},
    }


def _chosen(
    read: Callable[[Backup | None, int], list[Backup]],
    limit: int,
    last: Backup | None,
    fits: Fits,
) -> Page:
    """The first rows behind one that fit, of at most `MOST_READ`, or of what a page has."""
    found: list[Backup] = []
    looked, number = 0, limit + 1
    while looked <= MOST_READ:
        rows = read(last, number)
        for row in rows:
            if fits(row):
                if len(found) == limit:
                    return Page(found, found[-1].id)
                found.append(row)
            last = row
        if len(rows) < number:
            return Page(found, None)
        looked, number = looked + number, READ_AT_ONCE
    assert last is not None, "rows were read"
    return Page(found, last.id)


def _by_id(tenant_id: str, behind: Backup | None, number: int) -> list[Backup]:
    rows = list(Backup.tenant_index.query(tenant_id, limit=MOST_SORTED))
    rows.sort(key=_place, reverse=True)
    return [row for row in rows if behind is None or _place(row) < _place(behind)][:number]


def _place(row: Backup) -> tuple[float, str]:
    return row.created, row.id
