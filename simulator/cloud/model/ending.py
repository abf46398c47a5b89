"""How Cinder ends what it has accepted to delete, a volume or a snapshot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from simulator.cloud.model.faults import Fault
from simulator.cloud.model.seams import Done


class Deleted(Protocol):
    """What is alike in volumes and snapshots."""

    id: str
    status: str


T = TypeVar("T", bound=Deleted)


def end(
    things: dict[str, T],
    thing: T,
    fault: Fault | None,
    become: Callable[[T, str], None],
    delete: Callable[[str, Done], None],
) -> None:
    """Have it gone, or in error, or available again where its storage needs it still, as for a
    clone: Cinder takes that deletion back."""
    if thing.status != "deleting" or thing.id not in things:
        return
    if fault and fault.mode == "error":
        become(thing, "error_deleting")
        return
    if fault and fault.mode == "left_as_it_was":
        become(thing, "available")
        return

    def gone(error: str | None) -> None:
        if error:
            become(thing, "error_deleting")
        else:
            things.pop(thing.id, None)

    delete(thing.id, gone)
