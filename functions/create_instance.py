"""The flow `create_instance`: volume, network, queue, server, prepare.

Every forward step looks for what it is about to make, by the instance's name for it, before it
makes it: a worker that died after the call and before the record left exactly that.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chalicelib import engines
from chalicelib.bus import contract, keys, queues
from chalicelib.bus.contract import arguments
from chalicelib.cloud import images, names, network, servers, volumes
from chalicelib.conductor import refusals
from chalicelib.domain.zones import volume_zone
from chalicelib.settings import settings
from chalicelib.store import instances, operations, restoring
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance, Operation
from functions import access, booting, configuring, placement, power
from functions.asking import ask
from functions.outcomes import Done, Failed, Outcome, not_yet


def volume(operation: Operation, _: str | None) -> Outcome:
    """Make the data volume; a later step waits for it to be available."""
    return volume_of(operation)


def volume_of(operation: Operation, snapshot_id: str | None = None) -> Outcome:
    """The same, with what a snapshot holds if one is named."""
    instance = instances.get_instance(operation.instance_id)
    found = volumes.find(instance.id)
    if not found:
        placement.require_zone(instance)
        placement.require_volume_type(instance)
    for extra in found[1:]:
        volumes.delete(extra.id)
    made = (
        found[0]
        if found
        else volumes.create(
            names.volume(instance.id),
            size_gib=int(instance.volume_size),
            volume_type=instance.volume_type,
            availability_zone=volume_zone(settings().volume_zones, instance.availability_zone),
            metadata=_metadata(instance),
            snapshot_id=snapshot_id,
        )
    )
    return Done({"volume_id": made.id})


def _metadata(instance: Instance) -> dict[str, str]:
    generation = int(instance.generation)
    return names.metadata(instance.id, generation, restoring.record_of(instance))


def ports_and_groups(operation: Operation, _: str | None) -> Outcome:
    """Make the security group with its rules, then the port in the user's network.

    Of two that unknown results have left, the port that a server has is kept, and the group of the
    port that is kept: no other one could be deleted. Neutron tells whole seconds, so that of two
    which are as old either may come first.
    """
    instance = instances.get_instance(operation.instance_id)
    place = placement.of_port(instance)
    groups, ports = network.find_security_groups(instance.id), network.find_ports(instance.id)
    port = next((each for each in ports if each.device_id), ports[0] if ports else None)
    used = port.group_ids if port else ()
    group = next((each for each in groups if each.id in used), groups[0] if groups else None)
    for extra in ports:
        if extra is not port:
            network.delete_port(extra.id)
    for left in groups:
        if left is not group:
            network.delete_security_group(left.id)
    if group is None:
        group = network.create_security_group(
            names.network(instance.id), names.description(instance.id)
        )
    access.allow(group, instance, instance.access or {})
    if port is None:
        port = network.create_port(
            names.network(instance.id),
            names.description(instance.id),
            network_id=place.network_id,
            security_group_id=group.id,
            subnet_id=place.subnet_id,
            ip_address=place.ip_address,
        )
    if reason := _unreachable(port):
        return Failed(reason)
    wanted = instance.access or {}
    addresses = (  # no look for a public address that nobody can have made
        access.publish(instance.id, port, wanted)
        if wanted.get("is_public")
        else access.addresses(port, [])
    )
    return Done({"security_group_id": group.id, "port_id": port.id, "addresses": addresses})


def _unreachable(port: network.Port) -> str | None:
    """Why an agent at this port would not reach its control plane: AWS answers the names that its
    region has by IPv4, unless something between translates, which the operator knows."""
    if any("." in address for address in port.addresses):
        return None
    if port.addresses and settings().ipv6_only_networks:
        return None
    family = "" if settings().ipv6_only_networks else "IPv4 "
    return f"Network {port.network_id} has no {family}address for the instance's port."


def message_queue(operation: Operation, _: str | None) -> Outcome:
    """Make the guest's queue; making it again finds it."""
    url = queues.make_guest_queue(operation.instance_id, int(operation.generation))
    return Done({"queue_url": url})


def server(operation: Operation, _: str | None) -> Outcome:
    """Boot the server with its volume and port, and see it ACTIVE."""
    recorded = as_dict(operation.resources)
    if "server_id" in recorded:
        known = servers.get(recorded["server_id"])
        if known is not None and known.status == "BUILD":
            return not_yet(operation, "the server is in BUILD")
    found = servers.find(operation.instance_id)
    if not found:
        return _boot(operation, recorded)
    # An unknown result may have left two, and the port and the volume are with one of them.
    made = next((each for each in found if each.status != "ERROR"), found[0])
    for extra in found:
        if extra is not made:
            servers.delete(extra.id)
    if made.status == "ACTIVE":
        return Done({"server_id": made.id})
    if made.status == "ERROR":
        return Failed(power.went_to_error(made))
    return not_yet(operation, f"the server is in {made.status}", {"server_id": made.id})


def _boot(operation: Operation, recorded: dict[str, Any]) -> Outcome:
    instance = instances.get_instance(operation.instance_id)
    image_id = _image(instance)
    if image_id is None:
        return Failed("The datastore version has no usable image.")
    return booting.boot(
        operation,
        instance,
        image_id=image_id,
        port_id=recorded["port_id"],
        volume_id=recorded["volume_id"],
        expires_at=float(operation.deadline),
    )


def _image(instance: Instance) -> str | None:
    """The image that the datastore version named when the create was accepted, or the newest."""
    return instance.image.get("id") or images.newest_with_tags(instance.image.get("tags", []))


def prepare(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest for its database, unless none can come."""
    if lost := refusals.verdict(operation):
        return Failed(lost)
    return ask(
        operation, token, "prepare", contract.PREPARE, lambda each: arguments_of(operation, each)
    )


def arguments_of(operation: Operation, instance: Instance) -> arguments.Prepare:
    """All that a first start is told."""
    asked = arguments.Contents()
    if sealed := operations.sealed_arguments(operation):
        revealed = keys.reveal("operation", operation.id, sealed)
        asked = msgspec.json.decode(revealed, type=arguments.Contents)
    return arguments.Prepare(
        datastore=arguments.Datastore(instance.manager, instance.datastore_version),
        flavor=arguments.Flavor(int(instance.flavor_ram), int(instance.flavor_vcpus)),
        volume_id=as_dict(operation.resources).get("volume_id", ""),
        mount_point=engines.mount_point(instance.manager),
        databases=asked.databases,
        users=asked.users,
        root_password=asked.root_password,
        configuration=configuring.values_for(operation, instance),
    )


STEPS: Final = {
    "volume": volume,
    "network": ports_and_groups,
    "message_queue": message_queue,
    "server": server,
    "prepare": prepare,
}
