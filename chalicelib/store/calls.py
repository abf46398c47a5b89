"""The synchronous calls of a tenant in flight: one row of slots, bounded per instance and tenant.

A call occupies a request and its Lambda until the guest answers, so that fifty calls of one tenant
to slow guests would keep everybody else's waiting. So does an answer that waits for an end
(`chalicelib.api.awaiting`). A slot holds until the call's deadline at most:

    read the row ──▶ too many alive? refuse ──▶ write if nobody took a slot meanwhile ──▶ call
                                                 └─ no: again                              │
                                    the slot is given back, or runs out with its caller ◀──┘
"""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime
from typing import Final

from pynamodb.expressions.update import Action

from chalicelib import aws
from chalicelib.errors import OverLimit
from chalicelib.outages import OUTAGES
from chalicelib.settings import settings
from chalicelib.store.base import ConditionFailed, as_dict, update_if
from chalicelib.store.models import CallsRow, Subject

ATTEMPTS: Final = 8
BACKOFF_SECONDS: Final = 0.01
KEEP_SECONDS: Final = 86400

log = logging.getLogger(__name__)


def take(subject: Subject, call_id: str, until: float) -> None:
    """Take a slot for a call until its deadline; `OverLimit` (413) when there is none.

    Clause: no other call of the tenant took one since the row was read. Only this slot is written,
    and those removed that ran out: one that is given back meanwhile does not come back. A slot that
    the call has already is its own: the reply to the write of it was lost.
    """
    for attempt in range(ATTEMPTS):
        row = _row(subject.tenant_id)
        now = aws.clock()
        slots = as_dict(row.slots)
        alive = {key: slot for key, slot in slots.items() if float(slot["until"]) > now}
        if call_id in alive:
            return
        _require_room(subject, alive, now)
        slot = {"instance_id": subject.id, "until": until}
        version = int(row.version)
        taken = (
            CallsRow.slots[call_id].set(slot) if version else CallsRow.slots.set({call_id: slot})
        )
        unchanged = CallsRow.version == version if version else CallsRow.version.does_not_exist()
        expires = datetime.fromtimestamp(int(until + KEEP_SECONDS), UTC)
        actions: list[Action] = [
            taken,
            *(CallsRow.slots[key].remove() for key in slots.keys() - alive.keys()),
            CallsRow.version.set(version + 1),
            CallsRow.expires.set(expires),
        ]
        try:
            update_if(row, actions, unchanged)
            return
        except ConditionFailed:
            aws.sleep(BACKOFF_SECONDS * 2**attempt * aws.random())
    raise _over_limit("Too many calls were begun at this moment.", 1)


def give_back(subject: Subject, call_id: str) -> None:
    """End a call's hold on its slot, best effort: it would run out by itself."""
    try:
        CallsRow(subject.tenant_id).update(actions=[CallsRow.slots[call_id].remove()])
    except OUTAGES:
        log.warning("a slot of %s was not given back", subject.tenant_id)


def _row(tenant_id: str) -> CallsRow:
    try:
        return CallsRow.get(tenant_id, consistent_read=True)
    except CallsRow.DoesNotExist:
        return CallsRow(tenant_id)


def _require_room(subject: Subject, alive: dict[str, dict[str, object]], now: float) -> None:
    chosen = settings()
    here = [slot for slot in alive.values() if slot["instance_id"] == subject.id]
    for slots, most, whose in (
        (here, chosen.calls_per_instance, f"instance {subject.id}"),
        (list(alive.values()), chosen.calls_per_tenant, "this project's instances"),
    ):
        if len(slots) >= most:
            first_ends = min(float(str(slot["until"])) for slot in slots)
            raise _over_limit(
                f"{most} calls to {whose} are in progress.",
                math.ceil(first_ends - now),
            )


def _over_limit(what: str, retry_after_seconds: int) -> OverLimit:
    return OverLimit(f"{what} Try again later.", retry_after_seconds=retry_after_seconds)
