"""Bugs of answers: filters and orders of lists, and what no document tells of."""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.api import accepting, instance_view
from chalicelib.api.response import Response
from chalicelib.store import listing_backups
from chalicelib.store.lists import Filter, Order
from chalicelib.store.models import Instance
from tests.saboteurs.registry import Patch, saboteur


@saboteur("labels", "I32")
def a_filter_that_is_not_looked_at(patch: Patch) -> None:
    """A list by status shows instances of any."""
    original = Filter.fits

    def fits(wanted: Filter, row: Instance) -> bool:
        return original(msgspec.structs.replace(wanted, status=None), row)

    patch.setattr(Filter, "fits", fits)


@saboteur("labels", "I32")
def a_filter_that_wants_too_much(patch: Patch) -> None:
    """A list by tags leaves out what has others besides."""
    original = Filter.fits

    def fits(wanted: Filter, row: Instance) -> bool:
        return original(wanted, row) and (not wanted.tags or wanted.tags == (row.tags or set()))

    patch.setattr(Filter, "fits", fits)


@saboteur("labels", "I32")
def an_order_that_is_forgotten(patch: Patch) -> None:
    """A list by name is one by id."""
    patch.setattr(Order, "place", lambda _, row: (row.id, row.id))


@saboteur("backed up", "I32")
def backups_in_the_order_of_their_ids(patch: Patch) -> None:
    """The newest backup of a project is anywhere in its list."""
    patch.setattr(listing_backups, "_chosen", _by_ids)


def _by_ids(read: Any, limit: int, last: Any, fits: Any) -> listing_backups.Page:
    rows = sorted((row for row in read(None, 1000) if fits(row)), key=lambda row: row.id)
    rows = [row for row in rows if last is None or row.id > last.id]
    return listing_backups.Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


@saboteur("backed up", "I32")
def a_filter_behind_the_page(patch: Patch) -> None:
    """A list of an instance has what one page of everybody's backups has of it."""

    def of_instance(
        instance_id: str, limit: int, marker: str | None, fits: Any = None, tenant: Any = None
    ) -> listing_backups.Page:
        page = listing_backups.of_everybody(2, None)
        return listing_backups.Page([r for r in page.rows if r.instance_id == instance_id], None)

    patch.setattr(listing_backups, "of_instance", of_instance)


@saboteur("labels", "I13")
def an_attribute_that_is_missing(patch: Patch) -> None:
    """A list tells no region, although the published document says that there is one."""
    original = instance_view.summary

    def summary(*asked: Any) -> instance_view.InstanceSummary:
        return msgspec.structs.replace(original(*asked), region=None)

    patch.setattr(instance_view, "summary", summary)


@saboteur("calm", "I13")
def a_status_that_nobody_was_told_of(patch: Patch) -> None:
    """What is accepted is answered with 201, as if there were something to see already."""

    def response(status: int, *more: Any, **rest: Any) -> Response:
        return Response(201 if status == 202 else status, *more, **rest)

    patch.setattr(accepting, "Response", response)
