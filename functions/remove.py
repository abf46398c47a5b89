"""The steps that take an instance's things away: the body of a delete, and every compensation.

Each looks for what carries the instance's name and mark, not only for the ids that were recorded,
so that what a crash left unrecorded goes too, and what only looks like it stays.
"""

from __future__ import annotations

from typing import Final

from chalicelib.cloud import network, server_groups, servers, snapshots, volumes
from chalicelib.cloud.errors import Refused
from chalicelib.conductor import generations
from chalicelib.store import instances
from chalicelib.store.models import Operation
from functions import soft_deleted
from functions.outcomes import Done, Outcome, not_yet


def server(operation: Operation, _: str | None) -> Outcome:
    """Delete every server of the instance, of any generation, then its group; see them gone."""
    found = servers.find(operation.instance_id)
    for each in found:
        if not each.deleting:
            servers.delete(each.id)
    if found:
        return not_yet(operation, "waiting for the server to be gone")
    groups = _groups(operation)
    for group in groups:
        server_groups.delete(group.id)
    if groups:
        return not_yet(operation, "waiting for the server group to be gone")
    return Done()


def _groups(operation: Operation) -> list[server_groups.ServerGroup]:
    """The server groups of an instance that has a locality; a restored table may have lost it."""
    row = instances.find_instance(operation.instance_id)
    if row is not None and not row.locality:
        return []
    return server_groups.find(operation.instance_id)


def volume(operation: Operation, _: str | None) -> Outcome:
    """Delete every volume of the instance and see them gone, but for what backups are snapshots of.

    Cinder deletes no volume before its snapshots. That one is marked, and stays until the last of
    them is deleted (`functions.snapshot_removal`). It is looked at again behind the mark: whoever
    deletes a snapshot looks for the mark behind that, so that one of the two deletes the volume.
    """
    found = volumes.find(operation.instance_id, kept=True)
    staying = [each.id for each in found if _stays(each)]
    for each in found:
        require_not_given_up("volume", each)
    if len(staying) == len(found):
        return Done()
    return not_yet(operation, "waiting for the volume to be gone")


def require_not_given_up(kind: str, thing: volumes.Volume | snapshots.Snapshot) -> None:
    """Raises `Refused` for what Cinder has failed to delete: only an administrator can help."""
    if thing.status == volumes.GIVEN_UP:
        raise Refused(
            f"Cinder could not delete {kind} {thing.id}, which is {thing.status}: somebody who "
            "operates the cloud has to look, and to reset its state."
        )


def _stays(disk: volumes.Volume) -> bool:
    """Whether a volume may be left as it is; begins what is to be done with it else."""
    if disk.status not in volumes.DELETABLE:
        soft_deleted.free(disk)
    elif not any(each.owner is not None for each in snapshots.of_volume(disk.id)):
        volumes.delete(disk.id)
    elif disk.kept_for is None:
        volumes.keep(disk.id)
    else:
        return True
    return False


def ports_and_groups(operation: Operation, _: str | None) -> Outcome:
    """Delete the public address, the ports, then the groups they used, and see them gone.

    A delete that was answered with 404 is not believed: the second look tells.
    """
    owner = operation.instance_id
    for address in network.find_floating_addresses(owner):
        network.delete_floating_address(address.id)
    for port in network.find_ports(owner):
        network.delete_port(port.id)
    for group in network.find_security_groups(owner):
        network.delete_security_group(group.id)
    looks = (network.find_floating_addresses, network.find_ports, network.find_security_groups)
    if any(look(owner) for look in looks):
        return not_yet(operation, "waiting for the port and its security group to be gone")
    return Done()


def message_queue(operation: Operation, _: str | None) -> Outcome:
    """Delete the guest's queue and its key, of every generation: none can come back."""
    found = instances.find_instance(operation.instance_id)  # a restored table may not have it
    present = int(found.generation) if found is not None else 1
    generations.retire(operation.instance_id, max(present, int(operation.generation)))
    return Done()


STEPS: Final = {
    "remove_server": server,
    "remove_volume": volume,
    "remove_network": ports_and_groups,
    "remove_message_queue": message_queue,
}
