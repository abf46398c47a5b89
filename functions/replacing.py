"""What the flows share that give an instance another guest: its end, its generation, its server.

Nova rebuilds the server on an image, with its volume kept; the generation in the server's metadata
says which rebuild was accepted. Each call looks first, so the same call finishes what a worker
began that died.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chalicelib import aws, engines
from chalicelib.bus import contract, queues
from chalicelib.bus.contract.arguments import Datastore, Flavor, Nothing, Rebuild, StopDatabase
from chalicelib.cloud import images, names, network, servers, volumes
from chalicelib.conductor import generations
from chalicelib.domain.operations import command_id
from chalicelib.lifecycle import ServiceStatus
from chalicelib.settings import settings
from chalicelib.store import commands as rows
from chalicelib.store import generations as store
from chalicelib.store import instances, operations, restoring
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance, Operation
from chalicelib.store.operations import bound_of
from functions import booting, configuring, guest_data, power, soft_deleted
from functions.asking import ask_by_polls
from functions.outcomes import Done, Failed, Outcome, Wait, not_yet
from functions.power import server_of

STOP_SECONDS: Final = 180.0
"""So long the old guest has to stop its database. One that does not, or cannot, loses its power in
the middle, which its engine recovers from."""
RELEASE_SECONDS: Final = 120.0
"""So long a volume may take until it is free of a server that has vanished."""
EXPELLED: Final = "The guest was expelled meanwhile."


def rebuildable(operation: Operation) -> servers.Server | Wait | Failed | None:
    """The instance's server where Nova rebuilds it, or None where one has to be made anew.

    What a failed resize has left is taken back.
    """
    found = _present(operation)
    if found is None or _is_husk(found, instances.get_instance(operation.instance_id)):
        return None
    if found.moving:
        return not_yet(operation, f"the server is in {found.status}")
    if found.status == "VERIFY_RESIZE":
        power.take_back(operation, found)
        return not_yet(operation, "the server is in VERIFY_RESIZE")
    if found.status not in servers.REBUILDABLE:
        return Failed(f"The server is in {found.status}, where Nova rebuilds none.")
    return found


def _present(operation: Operation) -> servers.Server | None:
    """The server that is known of the instance, or one that nobody could record any more."""
    known = server_of(operation)
    return known or next(iter(servers.find(operation.instance_id)), None)


def _is_husk(found: servers.Server, instance: Instance) -> bool:
    """Whether Nova has nothing of a server that could be rebuilt, or no data with it."""
    if found.status == "BUILD" or found.deleting:
        return False
    unborn = found.status == "ERROR" and not found.launched
    return unborn or instance.resources["volume_id"] not in found.volumes


def parts_of(operation: Operation) -> Outcome:
    """See that there is all that a server is made of: its port, and its volume, free for it."""
    instance = instances.get_instance(operation.instance_id)
    disk = volumes.get(instance.resources["volume_id"])
    if disk is None:
        return Failed("The server has vanished, and the volume with its data.")
    if instance.resources.get("port_id") not in [one.id for one in network.find_ports(instance.id)]:
        return Failed("The server has vanished, and the port with its address.")
    if disk.status == "available":
        return Done()
    soft_deleted.free(disk)
    if aws.clock() > as_dict(operation.started)[operation.step or ""] + RELEASE_SECONDS:
        return Failed(
            f"The server has vanished, and its volume {disk.id} is {disk.status} still; when it is "
            "detached (openstack volume attachment delete), rebuild the instance again."
        )
    return not_yet(operation, f"the server has vanished, its volume is {disk.status}")


def why_unusable(image_id: str | None) -> str | None:
    """Why no server can be made of an image, or None."""
    image = images.get(image_id) if image_id else None
    if image is None:
        return f"Image {image_id} cannot be found."
    if image.status != "active":
        return f"Image {image_id} is {image.status}, and no server can be made of it."
    return None


def flavor_seen(found: servers.Server) -> dict[str, Any]:
    """The flavor that a server has, as an operation's row keeps it."""
    known = power.flavor_of(found)
    return {"flavor": power.size_of(known)} if known else {}


def stop_database(operation: Operation, step: str) -> Outcome:
    """Let the guest that there is end its database in order; what follows happens anyhow."""
    instance = instances.get_instance(operation.instance_id)
    until = as_dict(operation.started)[step] + STOP_SECONDS
    if not _is_heard(instance) or aws.clock() > until:
        return Done()
    asked = ask_by_polls(operation, step, contract.STOP_DB, StopDatabase(), until=until)
    if asked.answered is not None:
        return Done()
    return not_yet(operation, "waiting for the guest agent to stop the database")


def _is_heard(instance: Instance) -> bool:
    reported = instances.service_status(instance.id)
    if reported is None or reported.status in (ServiceStatus.NEW, ServiceStatus.UNKNOWN):
        return False
    return aws.clock() - reported.updated < settings().heartbeat_expiry_seconds


def next_generation(operation: Operation, step: str) -> Outcome:
    """Make the guest that there is nobody, and a queue for the one to come."""
    if not _has_begun(operation, step) and not store.begin(operation, step):
        stored = operations.get_operation(operation.id)
        if stored is None or not _has_begun(stored, step):
            return Failed(EXPELLED)
        operation.generation = stored.generation
    instance_id, generation = operation.instance_id, int(operation.generation)
    if store.guest_is_lost(operation, instances.get_instance(instance_id)):
        return Failed(EXPELLED)
    generations.retire(instance_id, generation - 1)
    return Done({"queue_url": queues.make_guest_queue(instance_id, generation)})


def _has_begun(operation: Operation, step: str) -> bool:
    return step in as_dict(operation.resources)


def rebuild(
    operation: Operation, instance: Instance, image_id: str, *, expires_at: float
) -> Outcome:
    """Rebuild the server for the operation's generation, or make one, and see it ACTIVE.

    `instance` is the row that the server's record is made of; the token in its user data is good
    until `expires_at`. Nova changes the metadata when it accepts a rebuild, so that its generation
    says whether that was this one, or nobody has asked yet.
    """
    found, generation = _present(operation), int(operation.generation)
    if found is None:
        return _make_anew(operation, instance, image_id, expires_at)
    if found.moving:
        return not_yet(operation, f"the server is in {found.status}")
    if found.metadata.get(names.GENERATION_KEY) != str(generation):
        if _is_husk(found, instance):
            servers.delete(found.id)
            return not_yet(operation, "what is left of the server is being deleted")
        servers.rebuild(
            found.id,
            name=names.server(instance.id, generation, instance.name),
            image_id=image_id,
            user_data=guest_data.user_data_of(instance, generation, expires_at),
            metadata=names.metadata(instance.id, generation, restoring.record_of(instance)),
        )
        return not_yet(operation, "the server is being rebuilt")
    if found.status == "ERROR":
        return Failed(power.went_to_error(found))
    if found.status == "ACTIVE":
        return Done(_owned(instance, found.id))
    if found.status == "SHUTOFF":
        servers.start(found.id)
    return not_yet(operation, f"the server is in {found.status}")


def _make_anew(
    operation: Operation, instance: Instance, image_id: str, expires_at: float
) -> Outcome:
    """On the port and the volume that the instance has kept."""
    outcome = booting.boot(
        operation,
        instance,
        image_id=image_id,
        port_id=instance.resources["port_id"],
        volume_id=instance.resources["volume_id"],
        expires_at=expires_at,
    )
    if isinstance(outcome, Wait) and "server_id" in outcome.resources:
        owned = _owned(instance, outcome.resources["server_id"])
        return msgspec.structs.replace(outcome, resources=owned)
    return outcome


def _owned(instance: Instance, server_id: str) -> dict[str, Any]:
    """What is recorded of a server: with another one the instance owns other things."""
    known = dict(instance.resources)
    if known.get("server_id") == server_id:
        return {"server_id": server_id}
    return {"server_id": server_id, "owns": {**known, "server_id": server_id}}


def what_to_run(operation: Operation, instance: Instance, number: str = "") -> Rebuild:
    """What the new guest has to know to go on with the data of an instance.

    With the `number` of a version, its engine has to be of that one.
    """
    told = {"ram": instance.flavor_ram, "vcpus": instance.flavor_vcpus}
    size = as_dict(operation.resources).get("flavor") or told
    return Rebuild(
        datastore=Datastore(instance.manager, instance.datastore_version),
        flavor=Flavor(int(size["ram"]), int(size["vcpus"])),
        mount_point=engines.mount_point(instance.manager),
        volume_id=instance.resources["volume_id"],
        number=number,
        configuration=configuring.values_for(operation, instance),
    )


def start_database(operation: Operation, stopped_in: str, step: str) -> Outcome:
    """Have a guest start its database again, once it has stopped it, if that step told it to."""
    stopped = rows.find(command_id(operation.id, stopped_in))
    if stopped is None:
        return Done()
    if stopped.answered is None and aws.clock() < stopped.deadline:
        return not_yet(operation, "waiting for the guest agent to stop the database")
    until = bound_of(operation, step)
    asked = ask_by_polls(operation, step, contract.RESTART, Nothing(), until=until)
    if asked.error is not None:
        return Failed(f"The database was not started again: {asked.error['message']}")
    if asked.answered is not None:
        return Done()
    return not_yet(operation, "waiting for the guest agent to start the database")
