"""Enrolled guests: the public key that speaks for a generation of an instance."""

from __future__ import annotations

from pynamodb.attributes import Attribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib import aws
from chalicelib.store.base import ConditionFailed, update_if
from chalicelib.store.models import Guest


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
    """Bind a key and a server to a generation, or begin a new epoch of the same two.

    Clauses: nobody is bound, which closes the race of two servers with one token; or the same two
    ask by a later request. Raises `ConditionFailed`.
    """
    guest = Guest(instance_id, generation)
    unbound = Guest.public_key.does_not_exist()
    same = (Guest.public_key == public_key) & (Guest.server_id == server_id)
    actions: list[Action] = [
        Guest.public_key.set(public_key),
        Guest.server_id.set(server_id),
        Guest.enrolled.set(Guest.enrolled | aws.clock()),
        Guest.issued_at_ms.set(issued_at_ms),
        Guest.epoch.add(1),
    ]
    _write(guest, actions, unbound | (same & _not_replayed(issued_at_ms)))
    return guest


def renew(guest: Guest, issued_at_ms: int, *, start: bool) -> None:
    """Note a renewal, and begin a new epoch when the guest starts; the row is as it is then.

    Clause: the request is later than any before. Raises `ConditionFailed`.
    """
    actions: list[Action] = [Guest.issued_at_ms.set(issued_at_ms)]
    if start:
        actions.append(Guest.epoch.add(1))
    _write(guest, actions, _not_replayed(issued_at_ms))


def note_stranger(guest: Guest, seconds: float) -> bool:
    """Note that another key asks for a guest's place; False when one has within so long."""
    return _note(guest, Guest.stranger_at, seconds)


def note_question(guest: Guest, seconds: float) -> bool:
    """Note that Nova is asked about such a key; False when it was within so long."""
    return _note(guest, Guest.questioned_at, seconds)


def _note(guest: Guest, when: Attribute[float | None], seconds: float) -> bool:
    """Clauses: the guest is there (an expulsion meanwhile), and nobody was noted since then."""
    now = aws.clock()
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


def _not_replayed(issued_at_ms: int) -> Condition:
    clause: Condition = Guest.issued_at_ms.does_not_exist() | (Guest.issued_at_ms < issued_at_ms)
    return clause
