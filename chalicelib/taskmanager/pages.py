"""What is due, page by page from both ends in turn."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Hashable, Iterator, Sequence
from typing import Protocol, TypeVar

from chalicelib import aws

T_co = TypeVar("T_co", bound=Hashable, covariant=True)
T = TypeVar("T", bound=Hashable)

log = logging.getLogger(__name__)


class Find(Protocol[T_co]):
    """Finds what is due at a time: at most so many, longest overdue first, or latest first."""

    def __call__(self, now: float, limit: int, *, latest: bool) -> Sequence[T_co]: ...


def from_both_ends(find: Find[T], page: int, until: float) -> Iterator[T]:
    """Each that is due, once, until the time is over.

    What was lost a minute ago does not wait behind a backlog, and the backlog does not wait for
    ever behind what is lost. A page that is not full is all that is due: nothing is left to look
    for from the other end, which halves what an idle minute costs.
    """
    met = set[T]()
    for number in itertools.count():
        latest = number % 2 == 0
        found = find(aws.clock(), page, latest=latest)
        new = [each for each in found if each not in met]
        if not new and not latest:
            return
        for each in new:
            if aws.clock() > until:
                log.warning("the sweep's time is over; the next one goes on")
                return
            met.add(each)
            yield each
        if len(found) < page:
            return
