"""A server made of an instance's port and volume: by a create, and where Nova has none any more."""

from __future__ import annotations

from chalicelib.cloud import names, server_groups, servers, volumes
from chalicelib.store import restoring
from chalicelib.store.models import Instance, Operation
from functions import guest_data, soft_deleted
from functions.outcomes import Failed, Outcome, not_yet


def boot(
    operation: Operation,
    instance: Instance,
    *,
    image_id: str,
    port_id: str,
    volume_id: str,
    expires_at: float,
) -> Outcome:
    """Ask for the server of the operation's generation, once the volume is free for it.

    Whoever calls has looked for it. Nova takes the volume when it accepts a server, so that there
    are never two with one. The token in its user data is good until `expires_at`.
    """
    disk = volumes.get(volume_id)
    if disk is None:
        return Failed("The volume has vanished.")
    if disk.status.startswith("error"):
        return Failed(f"The volume went to {disk.status}.")
    if disk.status != "available":
        soft_deleted.free(disk)
        return not_yet(operation, f"the volume is {disk.status}")
    if disk.kept_for is not None:  # before anybody writes to it: a kept one may be deleted
        volumes.reclaim(disk.id)
    generation = int(operation.generation)
    server_id = servers.create(
        names.server(instance.id, generation, instance.name),
        image_id=image_id,
        flavor_id=instance.flavor_id,
        port_id=port_id,
        volume_id=disk.id,
        user_data=guest_data.user_data_of(instance, generation, expires_at),
        availability_zone=instance.availability_zone,
        group_id=_server_group(instance),
        metadata=names.metadata(instance.id, generation, restoring.record_of(instance)),
    )
    return not_yet(operation, "the server is being built", {"server_id": server_id})


def _server_group(instance: Instance) -> str | None:
    """The group that its locality asks for: the one that is there, or a new one."""
    if not instance.locality:
        return None
    found = server_groups.find(instance.id)
    for extra in found[1:]:
        server_groups.delete(extra.id)
    if found:
        return found[0].id
    return server_groups.create(names.description(instance.id), instance.locality)
