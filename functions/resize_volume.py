"""The flow `resize_volume`: the volume grows, then the file system on it; the database goes on.

    in use ──▶ extended below the server ──────────────────────────────────▶ grow
       │ Cinder does not do that                                              ▲
       └─▶ server off ─▶ detached ─▶ extended ─▶ attached ─▶ server on ─▶ answers

Nothing here needs the database, so that a volume that is full can be helped. Beside the server each
next thing to do follows from how server and volume are found, whoever died over the one before.
"""

from __future__ import annotations

from typing import Final

from chalicelib import aws
from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import ResizeFileSystem
from chalicelib.cloud import servers, volumes
from chalicelib.cloud.errors import CloudAway, InUse
from chalicelib.service_status import ServiceStatus
from chalicelib.store import instances, last_reports
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance, Operation
from chalicelib.store.operations import bound_of
from functions import power
from functions.asking import ask
from functions.moves import BOOT_SECONDS, wait_for
from functions.outcomes import Done, Failed, Outcome, Wait, not_yet
from functions.undoing import unless_deleted

MOST_ASKED: Final = 2
"""So often Cinder may leave a volume in use as it was, before its server is switched off for it."""
_UNDECIDED: Final = ("extending", "attaching", "detaching", "reserved")


def extend(operation: Operation, _: str | None) -> Outcome:
    """See the volume with its size in its server; one that has it is left alone."""
    found = _volume(instances.get_instance(operation.instance_id))
    if found is None:
        return Failed("The volume has vanished.")
    if found.status in _UNDECIDED:
        return not_yet(operation, f"the volume is {found.status}")
    if found.status.startswith("error"):
        return Failed(f"The volume went to {found.status}; an operator has to reset it.")
    if _is_offline(operation):
        return _beside(operation, found)
    if found.status == "available":
        return _go_offline("The volume is in no server")
    if found.size >= _wanted(operation):
        return Done({"volume_size": found.size})
    asked = int(as_dict(operation.resources).get("extensions_asked", 0))
    if asked >= MOST_ASKED:
        return _go_offline("Cinder left the volume in use as it was")
    try:
        volumes.extend(found.id, _wanted(operation))
    except InUse as error:
        return _go_offline(str(error))
    note = f"the volume is {found.status}"
    return not_yet(operation, note, {"extensions_asked": asked + 1})


def _go_offline(why: str) -> Outcome:
    """On record first: an undoing has to bring back what is switched off from here on."""
    note = f"{why}; its server is switched off for it"
    return Wait(1, {"offline": True}, note[:255], first=True)


def _beside(operation: Operation, disk: volumes.Volume) -> Outcome:
    """Grow a volume whose server is off, and put it back."""
    server = power.server_of(operation)
    if server is None:
        return Failed(power.VANISHED)
    if server.moving:
        return wait_for(operation, server)
    outside, grown = disk.status == "available", disk.size >= _wanted(operation)
    if grown and not (outside and server.status == "ACTIVE"):
        back = power.on(operation, None)
        return Done({"volume_size": disk.size}) if isinstance(back, Done) else back
    if server.status in ("ACTIVE", "ERROR"):
        servers.stop(server.id)
    elif server.status == "SHUTOFF" and outside:
        last_reports.forget(operation.instance_id, int(operation.generation))
        volumes.extend(disk.id, _wanted(operation))
    elif server.status == "SHUTOFF":
        servers.detach_volume(server.id, disk.id)
    return not_yet(operation, f"the volume is {disk.status}, its server {server.status}")


def answers(operation: Operation, _: str | None) -> Outcome:
    """See the agent back, if its server was switched off: what it said before was forgotten.

    A command that is sent before may go to the receive that the agent of before had open.
    """
    reported = instances.service_status(operation.instance_id)
    if not _is_offline(operation) or (reported and reported.status != ServiceStatus.UNKNOWN):
        return Done()
    if aws.clock() > as_dict(operation.started)["answers"] + BOOT_SECONDS:
        return Failed("The guest agent did not come back with its server.")
    return not_yet(operation, "the guest agent has not reported yet")


def grow(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest to use the room."""

    def arguments(_: Instance) -> ResizeFileSystem:
        return ResizeFileSystem(int(as_dict(operation.resources)["volume_size"]))

    return ask(operation, token, "grow", contract.RESIZE_FS, arguments)


def measure(operation: Operation, _: str | None) -> Outcome:
    """See what has become of the volume, in a server that is on.

    What nobody can see for so long leaves a database that was never switched off in use, and its
    row as it is: the next resize finds out.
    """
    given_up = aws.clock() > bound_of(operation, "measure") and not _is_offline(operation)
    try:
        outcome = _measured(operation)
    except CloudAway:
        if not given_up:
            raise
        return Done()
    return Done() if given_up and isinstance(outcome, Wait) else outcome


def _measured(operation: Operation) -> Outcome:
    """What Cinder may still be at is waited for: it cannot be called back."""
    found = _volume(instances.get_instance(operation.instance_id))
    if found is None:
        return Failed("the volume has vanished")
    if found.status in _UNDECIDED:
        return not_yet(operation, f"the volume is {found.status}")
    if _is_offline(operation):
        back = power.on(operation, None)
        if not isinstance(back, Done):
            return back
    return Done({"volume_size": found.size})


def _wanted(operation: Operation) -> int:
    return int((operation.arguments or {})["volume_size"])


def _is_offline(operation: Operation) -> bool:
    return bool(as_dict(operation.resources).get("offline"))


def _volume(instance: Instance) -> volumes.Volume | None:
    """The instance's volume; a 404 is not believed before the list says the same."""
    volume_id = instance.resources["volume_id"]
    found = volumes.get(volume_id)
    if found is not None:
        return found
    return next((each for each in volumes.find(instance.id) if each.id == volume_id), None)


STEPS: Final = {
    "extend": extend,
    "answers": answers,
    "grow": grow,
    "measure": unless_deleted(measure),
}
