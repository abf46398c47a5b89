"""An answer that waits for what it accepts, where Trove does it within the request.

Trove's clients go on at once: they ask the database for the value that their group has set, or
restart it. What is waited for is accepted already, and done whether anybody waits or not, so that
nothing that goes wrong here is told: the answer is the same, only sooner than the end.
"""

from __future__ import annotations

import logging
from typing import Final

from chalicelib import aws
from chalicelib.api.frame import Request
from chalicelib.errors import OverLimit
from chalicelib.outages import OUTAGES
from chalicelib.settings import settings
from chalicelib.store import calls
from chalicelib.store.models import Configuration, Instance
from chalicelib.waiting import looks

_NOT_SEEN: Final = "the end of operation %s was not seen"

log = logging.getLogger(__name__)


def last_look(request: Request) -> float:
    """Until when a request may wait from now on: as long as for a guest's answer."""
    return min(aws.clock() + settings().guest_call_seconds, request.last_look)


def end_of(subject: Instance | Configuration, operation_id: str, until: float) -> None:
    """Wait for the end of an operation on an instance or a group, or until that time.

    It takes one of the slots that calls of guests have, since it occupies a request as they do;
    where there is none, it does not wait.
    """
    slot = aws.new_id()
    try:
        calls.take(subject, slot, until)
    except (OverLimit, *OUTAGES):
        log.info(_NOT_SEEN, operation_id)
        return
    try:
        for _ in looks(aws.clock(), until):
            subject.refresh(consistent_read=True)
            if subject.operation_id != operation_id:
                return
    except OUTAGES:
        log.warning(_NOT_SEEN, operation_id)
    finally:
        calls.give_back(subject, slot)
