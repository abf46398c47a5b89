"""A server that asks to be let in with another key than its guest's: it may have lost its disk.

Nova can give a server a new root disk without us: an operator rebuilds it, or evacuates it from a
host that is lost. Its agent starts with the user data of the create and without its key, and cannot
prove who it is: whoever has read that user data can say the same. So what it says decides nothing.

    the guest reports, or the token   nothing, but an event: the enrolled guest has its place
    is of another server
    nobody has reported for long      Nova is asked (`functions.rebuild_instance`). When it says
                                      that the server's disk is another one since the guest has
                                      enrolled, the server is rebuilt: the new token goes to it
                                      through Nova alone, and to nobody who only asked
    Nova says nothing of the kind     nothing, but a fault that tells an operator what to run
"""

from __future__ import annotations

import logging
from typing import Final

from chalicelib import aws
from chalicelib.bus import queues
from chalicelib.domain.flows import REBUILD
from chalicelib.errors import CofferError, Conflict, Gone
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import accepting, events, generations, guests, instances
from chalicelib.store.events import Asked
from chalicelib.store.models import Instance
from chalicelib.store.operations import operation_of

ASK_SECONDS: Final = 600
"""So often strangers are told of, and so often they are looked into, whoever asks meanwhile."""
GUEST: Final = "guest"
"""Who has asked for it, in the place of a user."""

log = logging.getLogger(__name__)


def refuse(
    instance: Instance, public_key: str, server_id: str, request_id: str | None
) -> CofferError:
    """Why an instance that is not being built lets nobody in; and what follows from the asking."""
    holder = guests.find(instance.id, int(instance.generation))
    if holder is None or holder.public_key == public_key:
        return Gone("The instance is not being built any more.")
    if server_id == holder.server_id and _may_have_lost_its_disk(instance):
        if guests.note_question(holder, ASK_SECONDS):
            _tell(instance, server_id, "Nova is asked whether its disk was replaced.")
            _look_into(instance, Asked(GUEST, request_id, instance.tenant_id))
    elif guests.note_stranger(holder, ASK_SECONDS):
        _tell(instance, server_id, "Nothing is done: the guest has its place.")
    return Conflict(
        "Another key is enrolled as this guest. A server whose disk Nova has replaced is rebuilt "
        "by itself once its guest has been silent for a while."
    )


def _may_have_lost_its_disk(instance: Instance) -> bool:
    """Whether nobody has reported for long of an instance that serves, and may have another guest.

    One whose guest reports has no other; one in ERROR has an operator.
    """
    if instance.status != Status.ACTIVE or instance.operation_id is not None:
        return False
    if instance.generation >= generations.MOST_GENERATIONS:
        return False
    reported = instances.service_status(instance.id)
    if reported is None:
        return False
    return aws.clock() - reported.updated >= settings().heartbeat_expiry_seconds


def _tell(instance: Instance, server_id: str, what_follows: str) -> None:
    said = f"Server {server_id} asked to be the guest with a key that is not the guest's."
    events.record(instance.id, "enrolment.refused", f"{said} {what_follows}", instance.tenant_id)


def _look_into(instance: Instance, asked: Asked) -> None:
    """Accept the rebuild whose first step asks Nova."""
    arguments = {"image_id": None, "was": instance.status, "server_asked": True}
    operation = operation_of(instance, REBUILD, arguments=arguments, asked=asked)
    if accepting.accept(instance, operation, decided_by=("generation",)):
        queues.notify_task_manager(operation.id)
    else:
        log.info("%s is being changed; its server will ask again", instance.id)
