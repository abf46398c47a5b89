"""The flows `rebuild_instance` and `rebuild_stopped_instance`: a new guest on a new root disk goes
on with the data of the old one.

    check ─▶ stop_database ─▶ new_generation ─▶ server ─▶ prepare ( ─▶ stop_database ─▶ power_off)
                              from here on the old guest is nobody

Before `new_generation` nothing has changed, and the old guest starts its database again. After it
there is no way back, since the old guest is refused; a failure leaves the data on the volume and
the next rebuild as the way on. Where Nova has no server any more, or none that it could rebuild,
one is made anew on the port and the volume that are kept. An operator asks for it, or a server
without its guest's key did, which Nova has given another disk (`chalicelib.conductor.readmission`).
"""

from __future__ import annotations

from typing import Final

from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import Rebuild
from chalicelib.cloud import names, servers
from chalicelib.conductor import refusals
from chalicelib.lifecycle import Status
from chalicelib.store import generations as store
from chalicelib.store import guests, instances
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance, Operation
from functions import power, replacing
from functions.asking import ask
from functions.outcomes import Done, Failed, Outcome
from functions.power import server_of
from functions.undoing import unless_deleted


def check(operation: Operation, _: str | None) -> Outcome:
    """See that there is a server that Nova rebuilds, an image, and a reason for one that has asked.

    A resize to another flavor may have failed before, and the rebuild sees what it came to.
    """
    asked = operation.arguments or {}
    if asked.get("server_asked") and (why_not := _unproved(operation)):
        return Failed(why_not)
    found = replacing.rebuildable(operation)
    if found is None:
        return _check_anew(operation, asked.get("image_id"))
    if not isinstance(found, servers.Server):
        return found
    image_id = asked.get("image_id") or found.image_id
    if why_not := replacing.why_unusable(image_id):
        return Failed(why_not)
    same = image_id == found.image_id and _is_of_its_version(operation, found)
    return Done({"image_id": image_id, "same_image": same, **replacing.flavor_seen(found)})


def _is_of_its_version(operation: Operation, found: servers.Server) -> bool:
    """Whether the server was last made for the version that its instance tells.

    An upgrade that failed on both ways may have left the image of the other one.
    """
    made_for = (names.record_in(found.metadata) or {}).get("datastore_version_id")
    told = instances.get_instance(operation.instance_id).datastore_version_id
    return made_for in (None, told)


def _check_anew(operation: Operation, image_id: str | None) -> Outcome:
    """See that a server can be made where Nova has none any more; nobody's guest is asked then."""
    if image_id is None:
        return Failed(power.VANISHED)
    if why_not := replacing.why_unusable(image_id):
        return Failed(why_not)
    parts = replacing.parts_of(operation)
    known = {"image_id": image_id, "same_image": False, "anew": True}
    return Done(known) if isinstance(parts, Done) else parts


def _unproved(operation: Operation) -> str | None:
    """Why nothing speaks for a server that has asked: only Nova knows whether it lost its disk."""
    server = server_of(operation)
    guest = guests.find(operation.instance_id, int(operation.generation))
    if server is None or server.moving or guest is None:
        return None
    if _was_replaced(server, since=float(guest.enrolled)):
        return None
    return (
        f"Somebody with another key asked to be the guest, and Nova has neither rebuilt nor "
        f"evacuated server {server.id} since it enrolled. If its disk was lost, rebuild the "
        "instance (openstack database instance rebuild); if it was stolen, expel its guest "
        "first (coffer expel)."
    )


def _was_replaced(server: servers.Server, *, since: float) -> bool:
    """Whether Nova has given it another disk since then, as far as its actions tell.

    One that had begun before may have taken the disk after it: its end decides.
    """
    last = servers.find_replacement(server.id)
    if last is None or last.started > since:
        return last is not None
    end = servers.find_end(server.id, last)
    return end is None or end > since


def stop_database(operation: Operation, _: str | None) -> Outcome:
    """Let the old guest end its database in order, if it is there; the rebuild happens anyhow."""
    if as_dict(operation.resources).get("anew"):
        return Done()
    return replacing.stop_database(operation, "stop_database")


def new_generation(operation: Operation, _: str | None) -> Outcome:
    """Make the old guest nobody, and a queue for the new one."""
    return replacing.next_generation(operation, "new_generation")


def server(operation: Operation, _: str | None) -> Outcome:
    """Rebuild the server, and see it ACTIVE."""
    instance = instances.get_instance(operation.instance_id)
    image_id = as_dict(operation.resources)["image_id"]
    return replacing.rebuild(operation, instance, image_id, expires_at=float(operation.deadline))


def prepare(operation: Operation, token: str | None) -> Outcome:
    """Ask the new guest to go on with the data, unless none can come."""
    if lost := refusals.verdict(operation):
        return Failed(lost)
    return ask(
        operation, token, "prepare", contract.REBUILD, lambda each: _arguments(operation, each)
    )


def _arguments(operation: Operation, instance: Instance) -> Rebuild:
    """On another image the engine may be another one, which the data are kept from."""
    same = as_dict(operation.resources).get("same_image")
    number = "" if same else instance.datastore_version_number
    return replacing.what_to_run(operation, instance, number)


def start_database(operation: Operation, _: str | None) -> Outcome:
    """Have the old guest start its database again, once it has stopped it, if it was told to."""
    instance = instances.get_instance(operation.instance_id)
    replaced = "new_generation" in as_dict(operation.resources)
    if replaced or store.guest_is_lost(operation, instance):
        return Failed("The old guest is replaced already.")
    if (operation.arguments or {}).get("was") != Status.ACTIVE:
        return Failed("The instance did not serve before.")
    return replacing.start_database(operation, "stop_database", "start_database")


def cut_power(operation: Operation, token: str | None) -> Outcome:
    """Leave the instance stopped, if it has a guest that can start it again.

    That is the old one, or a new one that has taken the data over: its engine recovers from this.
    """
    done = as_dict(operation.ended)
    if "new_generation" in as_dict(operation.resources) and "prepare" not in done:
        return Failed("The old guest is replaced already.")
    return power.off(operation, token)


STEPS: Final = {
    "check": check,
    "stop_database": stop_database,
    "new_generation": new_generation,
    "server": server,
    "prepare": prepare,
    "start_database": unless_deleted(start_database),
}

STEPS_OF_STOPPED: Final = {
    **{name: STEPS[name] for name in ("check", "new_generation", "server", "prepare")},
    **{name: power.STEPS[name] for name in ("stop_database", "power_off")},
    "cut_power": unless_deleted(cut_power),
}
