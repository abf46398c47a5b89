"""Enrolled guests: the public key that speaks for a generation of an instance, and how often."""

from __future__ import annotations

import math
from typing import Final

from pynamodb.attributes import Attribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib import aws
from chalicelib.domain.rates import Rate
from chalicelib.errors import OverLimit
from chalicelib.store.base import ConditionFailed, update_if
from chalicelib.store.models import Guest

REQUESTS_A_MINUTE: Final = 30
"""Of one guest, to all routes; as many may come at once. A sound one makes a few an hour."""
RATE: Final = Rate(REQUESTS_A_MINUTE, period=60_000)
"""In milliseconds, which a row keeps exactly."""


def find(instance_id: str, generation: int) -> Guest | None:
    """The enrolled guest of a generation, read consistently, or None."""
    try:
        return Guest.get(instance_id, generation, consistent_read=True)
    except Guest.DoesNotExist:
        return None


def epoch_of(instance_id: str, generation: int) -> int:
    """The number of the agent's last start, of which a report may not have come yet; 0 for none."""
    guest = find(instance_id, generation)
    return int(guest.epoch) if guest is not None else 0


def bind(
    instance_id: str, generation: int, public_key: str, server_id: str, issued_at_ms: int
) -> Guest:
    """Bind a key and a server to a generation, and begin its first epoch.

    Clause: nobody is bound, which closes the race of two servers with one token. Raises
    `ConditionFailed`.
    """
    guest = Guest(instance_id, generation)
    actions: list[Action] = [
        Guest.public_key.set(public_key),
        Guest.server_id.set(server_id),
        Guest.enrolled.set(aws.clock()),
        Guest.issued_at_ms.set(issued_at_ms),
        Guest.epoch.add(1),
    ]
    _write(guest, actions, Guest.public_key.does_not_exist())
    return guest


def require_room(guest: Guest) -> None:
    """Raise `OverLimit` when a guest has asked too often; its row, as it was read, tells."""
    wait_ms = RATE.wait(int(guest.quiet_at_ms), int(aws.clock() * 1000))
    if wait_ms:
        raise _too_many(math.ceil(wait_ms / 1000))


def admit(guest: Guest, issued_at_ms: int, *, start: bool) -> None:
    """Note a request of a guest, and begin a new epoch when it starts; the row is as it is then.

    Clause: the guest's last request is still the one of the row that was read. So none is taken
    twice, and of those that come together each is counted: one is noted, the others are refused.
    Raises `OverLimit` for them.
    """
    assert issued_at_ms > guest.issued_at_ms, "it was seen before"
    filled = RATE.filled(int(guest.quiet_at_ms), int(aws.clock() * 1000))
    actions: list[Action] = [
        Guest.issued_at_ms.set(issued_at_ms),
        Guest.quiet_at_ms.set(math.ceil(filled)),
    ]
    if start:
        actions.append(Guest.epoch.add(1))
    same = Guest.issued_at_ms == guest.issued_at_ms
    if not guest.issued_at_ms:
        same |= Guest.issued_at_ms.does_not_exist()  # an older release had none
    try:
        _write(guest, actions, same)
    except ConditionFailed:
        raise _too_many(1) from None


def _too_many(seconds: int) -> OverLimit:
    return OverLimit(
        "There are too many requests of this guest. Try again later.", retry_after_seconds=seconds
    )


def note_stranger(guest: Guest, seconds: float) -> bool:
    """Note that another key asks for a guest's place; False when one has within so long."""
    return _note(guest, Guest.stranger_at, seconds)


def note_question(guest: Guest, seconds: float) -> bool:
    """Note that Nova is asked about such a key; False when it was within so long."""
    return _note(guest, Guest.questioned_at, seconds)


def _note(guest: Guest, when: Attribute[float | None], seconds: float) -> bool:
    """Clauses: the guest is there (an expulsion meanwhile), and nobody was noted since then."""
    now = aws.clock()
    if (noted := getattr(guest, when.attr_name)) is not None and noted >= now - seconds:
        return False  # no write, however often somebody asks
    clause = when.does_not_exist() | (when < now - seconds)
    row = Guest(guest.instance_id, guest.generation)
    try:
        update_if(row, [when.set(now)], Guest.public_key.exists() & clause)
    except ConditionFailed:
        return False
    return True


def forget(instance_id: str, generation: int) -> None:
    """Remove a guest's key; one that never enrolled is fine. It can renew nothing afterwards."""
    Guest(instance_id, generation).delete()


def _write(guest: Guest, actions: list[Action], clause: Condition) -> None:
    """Write under the clause, or over what this very call has written.

    botocore sends an update again whose reply was lost; the second one meets the first one's row,
    and is no replay. It begins one epoch more, which harms nothing: epochs only have to grow.
    """
    call = aws.new_id()
    update_if(guest, [*actions, Guest.writer.set(call)], clause | (Guest.writer == call))
