"""The end of a guest's generation: what it held is worth nothing from one moment on.

its reports        refused: they name a generation that is not the instance's (`reports`,
                   `heartbeats`)
its renewals       refused the same way (`enrolment`)
its enrolment      refused the same way: the token names its generation
its queue          gets nothing any more: what is sent goes to the next generation's
its AWS session    can still send, for an hour at most, what is refused

Its key and its queue are of no use to anybody then; the rebuild or the delete that follows takes
them away (`retire`).
"""

from __future__ import annotations

from typing import Final

from chalicelib import crash, lifecycle
from chalicelib.bus import queues
from chalicelib.errors import Unprocessable
from chalicelib.lifecycle import Status
from chalicelib.store import generations, guests, instances
from chalicelib.store.base import Claim, Contended, races
from chalicelib.store.events import Asked
from chalicelib.store.models import Instance

EXPELLED: Final = (
    "The guest was expelled: whatever its server holds is refused. The data is on the volume; "
    "rebuild the instance on an image to get a new guest (openstack database instance rebuild)."
)


def retire(instance_id: str, newest: int) -> None:
    """Take away the keys and queues of all generations up to that one; repeating changes nothing.

    All of them: whoever did this before for an older one may have died over it.
    """
    for generation in range(1, newest + 1):
        guests.forget(instance_id, generation)
        queues.remove_guest_queue(queues.guest_queue_url(instance_id, generation))


def expel(instance_id: str, asked: Asked, claim: Claim | None = None) -> None:
    """End the present guest of an instance at once, whatever is under way.

    `claim` goes into the transaction that does it: whoever asks again much later, when there is
    another guest, must not expel that one.

    Raises `NotFound`, and `Unprocessable` (422) when the instance has had too many generations.
    """
    with crash.scope("expel"):
        for _ in races():
            row = instances.get_instance(instance_id)
            if _expelled(row) or generations.expel(row, EXPELLED, asked, claim):
                return
        raise Contended("The instance is being changed by others at the moment; try again.")


def _expelled(row: Instance) -> bool:
    """Whether nobody is the instance's guest, and nobody can become it."""
    require_next(row)
    lifecycle.require(lifecycle.EXPELLABLE, row.id, row.status)
    if row.status != Status.ERROR or row.operation_id is not None:
        return False
    return guests.find(row.id, int(row.generation)) is None


def require_next(row: Instance, count: int = 1) -> None:
    """Refuse (422) an instance that may not have so many generations more."""
    if row.generation + count > generations.MOST_GENERATIONS:
        raise Unprocessable(
            f"Instance {row.id} has had {int(row.generation)} guests, which is the most that one "
            "may have; copy its data to a new instance."
        )
