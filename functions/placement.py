"""What a tenant may ask the cloud for itself: the service asks for nothing else in its stead.

The service's user may make a port in any network at any address, and a volume of any type, or not:
that depends on its roles. The rules here are Neutron's and Cinder's own defaults for a member of
the tenant's project. What breaks one is `Refused`, in the words for what the tenant cannot see.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import msgspec

from chalicelib.cloud import network, servers, volumes
from chalicelib.cloud.errors import Refused
from chalicelib.settings import settings
from chalicelib.store.models import Instance


class Place(msgspec.Struct, frozen=True):
    """Where the port of an instance goes."""

    network_id: str
    subnet_id: str | None = None
    ip_address: str | None = None


def of_port(instance: Instance) -> Place:
    """The network, subnet and address of an instance's nic, or the operator's network."""
    nic = (instance.nics or [{}])[0]
    subnet_id, address = nic.get("subnet_id"), nic.get("ip_address")
    network_id = nic.get("network_id")
    if subnet_id is None:
        if network_id is None:
            return Place(settings().network_id)
        _usable(network_id, instance, f"Network {network_id} cannot be found.")
        return Place(network_id)
    subnet = network.get_subnet(subnet_id)
    missing = f"Subnet {subnet_id} cannot be found."
    if subnet is None:
        raise Refused(missing)
    found = _usable(subnet.network_id, instance, missing)
    if network_id not in (None, subnet.network_id):
        raise Refused(f"Subnet {subnet_id} does not belong to network {network_id}.")
    if address is not None:
        if found.project_id != instance.tenant_id:
            raise Refused("An 'ip_address' can be chosen in a network of the project's own only.")
        if ip_address(address) not in ip_network(subnet.cidr):
            raise Refused(f"Address {address} is not in subnet {subnet_id} ({subnet.cidr}).")
    return Place(subnet.network_id, subnet_id, address)


def _usable(network_id: str, instance: Instance, missing: str) -> network.Network:
    """The network, when the tenant could have a port in it.

    One that is shared with the tenant's project alone is so for nobody else's look, not for the
    service's either: the API has asked with the tenant's token (`chalicelib.auth.networks`).
    """
    found = network.get_network(network_id)
    nic = (instance.nics or [{}])[0]
    chosen = network_id in (settings().network_id, nic.get("shown_network_id"))
    if found is None or not (chosen or found.shared or found.project_id == instance.tenant_id):
        raise Refused(missing)
    return found


def require_zone(instance: Instance) -> None:
    """Refuse a zone that Nova does not have, before anything is made.

    Cinder and Nova refuse it too, each with its own part of an instance.
    """
    zone = instance.availability_zone
    if zone is not None and zone not in servers.find_zones():
        raise Refused(f"Availability zone {zone} cannot be found.")


def require_volume_type(instance: Instance) -> None:
    """Refuse a volume type that is neither public nor given to the tenant's project."""
    if instance.volume_type is None:
        return
    found = volumes.find_type(instance.volume_type)
    if found is None or not (
        found.public or instance.tenant_id in volumes.get_type_projects(found.id)
    ):
        raise Refused(f"Volume type {instance.volume_type} cannot be found.")
