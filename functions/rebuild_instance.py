"""The flow `rebuild_instance`: a new guest on a new root disk goes on with the data of the old one.

    check ─▶ stop_database ─▶ new_generation ─▶ server ─▶ prepare
                              from here on the old guest is nobody

Before `new_generation` nothing has changed, and the old guest starts its database again. After it
there is no way back, since the old guest is refused; a failure leaves the data on the volume and
the next rebuild as the way on. An operator asks for it, or a server without its guest's key did,
which Nova has given another disk (`chalicelib.conductor.readmission`).
"""

from __future__ import annotations

from typing import Final

from chalicelib import aws, datastores
from chalicelib.bus import contract, queues
from chalicelib.bus.contract.arguments import Datastore, Flavor, Nothing, Rebuild, StopDatabase
from chalicelib.cloud import images, names, servers
from chalicelib.conductor import generations, refusals
from chalicelib.domain.operations import command_id
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.settings import settings
from chalicelib.store import commands as rows
from chalicelib.store import generations as store
from chalicelib.store import guests, instances, restoring
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance, Operation
from chalicelib.store.operations import bound_of
from functions import guest_data, power
from functions.asking import ask, ask_by_polls
from functions.outcomes import Done, Failed, Outcome, not_yet
from functions.power import VANISHED, server_of
from functions.undoing import unless_deleted

STOP_SECONDS: Final = 180.0
"""So long the old guest has to stop its database. One that does not, or cannot, loses its power in
the middle, which its engine recovers from."""


def check(operation: Operation, _: str | None) -> Outcome:
    """See that there is a server that Nova rebuilds, an image, and a reason for one that has asked.

    A resize to another flavor may have failed before, and the rebuild sees what it came to.
    """
    instance = instances.get_instance(operation.instance_id)
    asked = operation.arguments or {}
    found = server_of(operation)
    if found is None:
        return Failed(VANISHED)
    if found.moving:
        return not_yet(operation, f"the server is in {found.status}")
    if asked.get("server_asked") and (why_not := _unproved(instance, found)):
        return Failed(why_not)
    if found.status == "VERIFY_RESIZE":
        power.take_back(operation, found)
        return not_yet(operation, "the server is in VERIFY_RESIZE")
    if found.status not in servers.REBUILDABLE:
        return Failed(f"The server is in {found.status}, where Nova rebuilds none.")
    image_id = asked.get("image_id") or found.image_id
    image = images.get(image_id) if image_id else None
    if image is None:
        return Failed(f"Image {image_id} cannot be found.")
    if image.status != "active":
        return Failed(f"Image {image_id} is {image.status}, and no server can be made of it.")
    known = power.flavor_of(found)
    return Done({"image_id": image.id, **({"flavor": power.size_of(known)} if known else {})})


def _unproved(instance: Instance, server: servers.Server) -> str | None:
    """Why nothing speaks for a server that has asked: only Nova knows whether it lost its disk."""
    guest = guests.find(instance.id, int(instance.generation))
    if guest is None or _was_replaced(server, since=float(guest.enrolled)):
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
    instance = instances.get_instance(operation.instance_id)
    until = as_dict(operation.started)["stop_database"] + STOP_SECONDS
    if not _is_heard(instance) or aws.clock() > until:
        return Done()
    asked = ask_by_polls(operation, "stop_database", contract.STOP_DB, StopDatabase(), until=until)
    if asked.answered is not None:
        return Done()
    return not_yet(operation, "waiting for the guest agent to stop the database")


def _is_heard(instance: Instance) -> bool:
    reported = instances.service_status(instance.id)
    if reported is None or reported.status == ServiceStatus.UNKNOWN:
        return False
    return aws.clock() - reported.updated < settings().heartbeat_expiry_seconds


def new_generation(operation: Operation, _: str | None) -> Outcome:
    """Make the old guest nobody, and a queue for the new one."""
    instance_id, generation = operation.instance_id, int(operation.generation)
    if not store.begin(operation):
        present = int(instances.get_instance(instance_id).generation)
        if present != generation:
            return Failed("The guest was expelled meanwhile.")
    generations.retire(instance_id, generation - 1)
    return Done({"queue_url": queues.make_guest_queue(instance_id, generation)})


def server(operation: Operation, _: str | None) -> Outcome:
    """Rebuild the server, and see it ACTIVE.

    Nova changes the metadata when it accepts a rebuild, so that its generation says whether that
    was this one, or nobody has asked yet.
    """
    found = server_of(operation)
    if found is None:
        return Failed(VANISHED)
    if found.moving:
        return not_yet(operation, f"the server is in {found.status}")
    generation = int(operation.generation)
    if found.metadata.get(names.GENERATION_KEY) != str(generation):
        instance = instances.get_instance(operation.instance_id)
        servers.rebuild(
            found.id,
            name=names.server(instance.id, generation),
            image_id=as_dict(operation.resources)["image_id"],
            user_data=guest_data.user_data_of(instance, generation, operation.deadline),
            metadata=names.metadata(instance.id, generation, restoring.record_of(instance)),
        )
        return not_yet(operation, "the server is being rebuilt")
    if found.status == "ERROR":
        return Failed(power.went_to_error(found))
    if found.status == "ACTIVE":
        return Done({"server_id": found.id})
    if found.status == "SHUTOFF":
        servers.start(found.id)
    return not_yet(operation, f"the server is in {found.status}")


def prepare(operation: Operation, token: str | None) -> Outcome:
    """Ask the new guest to go on with the data, unless none can come."""
    if lost := refusals.verdict(operation):
        return Failed(lost)
    return ask(
        operation, token, "prepare", contract.REBUILD, lambda each: _arguments(operation, each)
    )


def _arguments(operation: Operation, instance: Instance) -> Rebuild:
    told = {"ram": instance.flavor_ram, "vcpus": instance.flavor_vcpus}
    size = as_dict(operation.resources).get("flavor") or told
    return Rebuild(
        datastore=Datastore(instance.manager, instance.datastore_version),
        flavor=Flavor(int(size["ram"]), int(size["vcpus"])),
        mount_point=datastores.mount_point(instance.manager),
        volume_id=instance.resources["volume_id"],
    )


def start_database(operation: Operation, _: str | None) -> Outcome:
    """Have the old guest start its database again, once it has stopped it, if it was told to."""
    instance = instances.get_instance(operation.instance_id)
    if store.guest_is_lost(operation, instance):
        return Failed("The old guest is replaced already.")
    if (operation.arguments or {}).get("was") != Status.ACTIVE:
        return Failed("The instance did not serve before.")
    stopped = rows.find(command_id(operation.id, "stop_database"))
    if stopped is None:
        return Done()
    if stopped.answered is None and aws.clock() < stopped.deadline:
        return not_yet(operation, "waiting for the guest agent to stop the database")
    until = bound_of(operation, "start_database")
    asked = ask_by_polls(operation, "start_database", contract.RESTART, Nothing(), until=until)
    if asked.error is not None:
        return Failed(f"The database was not started again: {asked.error['message']}")
    if asked.answered is not None:
        return Done()
    return not_yet(operation, "waiting for the guest agent to start the database")


STEPS: Final = {
    "check": check,
    "stop_database": stop_database,
    "new_generation": new_generation,
    "server": server,
    "prepare": prepare,
    "start_database": unless_deleted(start_database),
}
