"""Bugs of lists: filters and orders."""

from __future__ import annotations

import msgspec

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
