"""What a refused enrolment means for what waits for its guest (a create): seldom its end.

    who holds the generation       what the control plane knows       what it does
    another server than the one    its own rows differ, and nobody    ends the operation at once
    that the operation booted      else can enrol any more
    the operation's own server,    one of the two is a thief, or a    lets it go on, and
    with another key               disk was lost: only they know      tells it at the deadline

Whoever is refused here had a token of this generation, which only the control plane makes. What it
claims beyond that decides nothing: an asker that lies ends a create only when it was lost anyway. A
guest of an older generation never comes this far (410).
"""

from __future__ import annotations

import logging

from chalicelib.bus import queues
from chalicelib.store import events, guests, operations
from chalicelib.store.base import ConditionFailed, as_dict
from chalicelib.store.models import Instance, Operation

log = logging.getLogger(__name__)


def record(instance: Instance, generation: int, server_id: str) -> None:
    """Record that `server_id` was refused as a guest of a generation that is being built.

    Whoever is second, this or the record of the create's server, sees both servers: this writes
    the enrolled one and reads the operation in one update, and so does the lease of `prepare`.
    """
    events.record(
        instance.id,
        "enrolment.refused",
        f"Server {server_id} tried to enrol as generation {generation}, "
        "which another key or server holds.",
        instance.tenant_id,
    )
    holder = guests.find(instance.id, generation)
    if holder is None or instance.operation_id is None:
        return
    note = _note(server_id, holder.server_id)
    try:
        operation = operations.note_refusal(
            instance.operation_id, generation, holder.server_id, note
        )
        reason = verdict(operation)
        if reason is None or operation.compensating:
            return
        operations.begin_compensation(operation, reason)
    except ConditionFailed:
        log.info("the create of %s ended before its guest was refused", instance.id)
        return
    queues.notify_task_manager(operation.id)


def verdict(operation: Operation) -> str | None:
    """Why a create cannot succeed any more: it has its server, and another one is enrolled."""
    if "server" not in as_dict(operation.ended):
        return None
    own, enrolled = as_dict(operation.resources)["server_id"], operation.enrolled_server
    if enrolled in (None, own):
        return None
    return f"Server {own} cannot enrol: another server, {enrolled}, came first."


def _note(refused: str, holder: str) -> str:
    if refused == holder:
        return f"server {refused} was refused with a key other than its first"
    return f"server {refused} was refused, since server {holder} is enrolled"
