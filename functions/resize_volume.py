"""The flow `resize_volume`: the volume grows, then the file system on it; the database goes on.

Nothing here needs the database, so that a volume that is full can be helped.
"""

from __future__ import annotations

from typing import Final

from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import ResizeFileSystem
from chalicelib.cloud import volumes
from chalicelib.store import instances
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance, Operation
from functions.asking import ask
from functions.outcomes import Done, Failed, Outcome, not_yet
from functions.undoing import unless_deleted

_EXTENDABLE: Final = ("available", "in-use")
_UNDECIDED: Final = ("extending", "attaching", "detaching", "reserved")


def extend(operation: Operation, _: str | None) -> Outcome:
    """Ask Cinder for the size and see it there; a volume that has it is left alone."""
    wanted = int((operation.arguments or {})["volume_size"])
    found = _volume(instances.get_instance(operation.instance_id))
    if found is None:
        return Failed("The volume has vanished.")
    if found.size >= wanted and found.status not in _UNDECIDED:
        return Done({"volume_size": found.size})
    if found.status.startswith("error"):
        return Failed(f"The volume went to {found.status}; an operator has to reset it.")
    if found.status in _EXTENDABLE:
        volumes.extend(found.id, wanted)
    return not_yet(operation, f"the volume is {found.status}")


def grow(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest to use the room."""

    def arguments(_: Instance) -> ResizeFileSystem:
        return ResizeFileSystem(int(as_dict(operation.resources)["volume_size"]))

    return ask(operation, token, "grow", contract.RESIZE_FS, arguments)


def measure(operation: Operation, _: str | None) -> Outcome:
    """What Cinder may still be at is waited for: it cannot be called back."""
    found = _volume(instances.get_instance(operation.instance_id))
    if found is None:
        return Failed("the volume has vanished")
    if found.status in _UNDECIDED:
        return not_yet(operation, f"the volume is {found.status}")
    return Done({"volume_size": found.size})


def _volume(instance: Instance) -> volumes.Volume | None:
    """The instance's volume; a 404 is not believed before the list says the same."""
    volume_id = instance.resources["volume_id"]
    found = volumes.get(volume_id)
    if found is not None:
        return found
    return next((each for each in volumes.find(instance.id) if each.id == volume_id), None)


STEPS: Final = {"extend": extend, "grow": grow, "measure": unless_deleted(measure)}
