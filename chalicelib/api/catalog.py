"""Datastores, versions and flavors as the handlers see them: read rarely, kept for a moment.

They change when an operator registers a version, so each process keeps a copy; a name that the
copy does not know is looked up afresh before it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from chalicelib import aws
from chalicelib.store.datastores import Offered, offered
from chalicelib.store.flavors import all_flavors
from chalicelib.store.models import Flavor

KEEP_SECONDS: Final = 30.0
REREAD_SECONDS: Final = 1.0

T = TypeVar("T")


class Copy(Offered, frozen=True):
    """All rows as they were at `read_at`."""

    read_at: float
    flavors: list[Flavor]

    def flavor(self, flavor_id: str) -> Flavor | None:
        """The flavor of that id."""
        return next((row for row in self.flavors if row.id == flavor_id), None)


class Catalog:
    """The copy of one app, read again when it is old."""

    def __init__(self) -> None:
        self._copy: Copy | None = None

    def now(self) -> Copy:
        """A copy at most half a minute old."""
        return self._fresh(KEEP_SECONDS)

    def find(self, search: Callable[[Copy], T | None]) -> T | None:
        """What the search finds in the copy, or in a fresh one."""
        found = search(self.now())
        return found if found is not None else search(self._fresh(REREAD_SECONDS))

    def forget(self) -> None:
        """Read the tables at the next look: the caller has changed them."""
        self._copy = None

    def _fresh(self, seconds: float) -> Copy:
        now = aws.clock()
        if self._copy is None or not 0 <= now - self._copy.read_at < seconds:
            found = offered()
            self._copy = Copy(found.datastores, found.versions, now, all_flavors())
        return self._copy
