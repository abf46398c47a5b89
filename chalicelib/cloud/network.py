"""Neutron ports, security groups and floating addresses."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import msgspec

from chalicelib.cloud import names
from chalicelib.cloud.session import cloud_call, connection, kind_of, own_project


class Rule(msgspec.Struct, frozen=True):
    """An ingress rule: one TCP port, one source."""

    port: int
    cidr: str

    def __str__(self) -> str:
        return f"{self.port} from {self.cidr}"


class SecurityGroup(msgspec.Struct, frozen=True):
    """A security group with the ids of its ingress rules, and the instance of ours that owns it."""

    id: str
    name: str
    rules: dict[Rule, str]
    owner: str | None


class Port(msgspec.Struct, frozen=True):
    """A port with its fixed addresses, and the instance of ours that owns it.

    `group_ids` are its security groups; `device_id` the server that has it, or "".
    """

    id: str
    name: str
    network_id: str
    addresses: tuple[str, ...]
    owner: str | None
    group_ids: tuple[str, ...] = ()
    device_id: str = ""


class FloatingAddress(msgspec.Struct, frozen=True):
    """A public address of an external network, and the instance of ours that owns it."""

    id: str
    address: str
    network_id: str
    port_id: str | None
    owner: str | None

    @property
    def name(self) -> str:
        """What to call it: Neutron gives it none."""
        return f"{self.address} of {self.owner}"


class Network(msgspec.Struct, frozen=True):
    """A network: whose it is, and whether others may use it."""

    id: str
    project_id: str
    shared: bool


class Subnet(msgspec.Struct, frozen=True):
    """A subnet of a network, with its range of addresses."""

    id: str
    network_id: str
    cidr: str


@cloud_call
def get_network(network_id: str) -> Network | None:
    """The network, or None."""
    from openstack.exceptions import NotFoundException

    try:
        raw = connection().network.get_network(network_id)
    except NotFoundException:
        return None
    return Network(id=raw.id, project_id=raw.project_id or "", shared=bool(raw.is_shared))


@cloud_call
def get_subnet(subnet_id: str) -> Subnet | None:
    """The subnet, or None."""
    from openstack.exceptions import NotFoundException

    try:
        raw = connection().network.get_subnet(subnet_id)
    except NotFoundException:
        return None
    return Subnet(id=raw.id, network_id=raw.network_id, cidr=raw.cidr)


@cloud_call
def find_security_groups(instance_id: str) -> list[SecurityGroup]:
    """The security groups of an instance, oldest first."""
    found = connection().network.security_groups(**_named(instance_id))
    ordered = sorted(found, key=lambda group: (group.created_at or "", group.id))
    return [each for each in map(_group, ordered) if each.owner == instance_id]


@cloud_call
def create_security_group(name: str, description: str) -> SecurityGroup:
    """Make a security group."""
    return _group(connection().network.create_security_group(name=name, description=description))


@cloud_call
def create_rule(group_id: str, rule: Rule) -> None:
    """Open one port to one source; a rule that exists is fine."""
    from openstack.exceptions import ConflictException

    try:
        connection().network.create_security_group_rule(
            security_group_id=group_id,
            direction="ingress",
            ether_type="IPv6" if ":" in rule.cidr else "IPv4",
            protocol="tcp",
            port_range_min=rule.port,
            port_range_max=rule.port,
            remote_ip_prefix=rule.cidr,
        )
    except ConflictException as error:
        if kind_of(error) != "SecurityGroupRuleExists":
            raise


@cloud_call
def delete_rule(rule_id: str) -> None:
    """Delete a rule; one that is gone is fine."""
    connection().network.delete_security_group_rule(rule_id, ignore_missing=True)


@cloud_call
def delete_security_group(group_id: str) -> None:
    """Delete a security group; one that is gone is fine."""
    connection().network.delete_security_group(group_id, ignore_missing=True)


@cloud_call
def find_ports(instance_id: str) -> list[Port]:
    """The ports of an instance, oldest first."""
    found = connection().network.ports(**_named(instance_id))
    ordered = sorted(found, key=lambda port: (port.created_at or "", port.id))
    return [each for each in map(_port, ordered) if each.owner == instance_id]


@cloud_call
def create_port(
    name: str,
    description: str,
    *,
    network_id: str,
    security_group_id: str,
    subnet_id: str | None,
    ip_address: str | None,
) -> Port:
    """Make a port in the user's network, at a fixed address when one is given."""
    fixed = {"subnet_id": subnet_id, "ip_address": ip_address}
    chosen = {key: value for key, value in fixed.items() if value}
    return _port(
        connection().network.create_port(
            name=name,
            description=description,
            network_id=network_id,
            security_group_ids=[security_group_id],
            **({"fixed_ips": [chosen]} if chosen else {}),
        )
    )


@cloud_call
def page_of_ports(after: str | None, limit: int) -> list[Port]:
    """A page of the ports that the service's project has, whoever made them."""
    raw = connection().network.ports(
        project_id=own_project(), marker=after, limit=limit, paginated=False
    )
    return [_port(each) for each in raw]


@cloud_call
def page_of_security_groups(after: str | None, limit: int) -> list[SecurityGroup]:
    """A page of the security groups that the service's project has, whoever made them."""
    raw = connection().network.security_groups(
        project_id=own_project(), marker=after, limit=limit, paginated=False
    )
    return [_group(each) for each in raw]


@cloud_call
def delete_port(port_id: str) -> None:
    """Delete a port; one that is gone is fine."""
    connection().network.delete_port(port_id, ignore_missing=True)


@cloud_call
def find_external_network() -> str | None:
    """The id of a network outside the cloud that gives floating addresses, or None."""
    found = connection().network.networks(is_router_external=True)
    return min((each.id for each in found), default=None)


@cloud_call
def find_floating_addresses(instance_id: str) -> list[FloatingAddress]:
    """The floating addresses of an instance; they have no name, so their mark is looked for."""
    found = connection().network.ips(
        description=names.description(instance_id), project_id=own_project()
    )
    ordered = sorted(found, key=lambda each: (each.created_at or "", each.id))
    return [each for each in map(_floating, ordered) if each.owner == instance_id]


@cloud_call
def create_floating_address(description: str, *, network_id: str, port_id: str) -> FloatingAddress:
    """Make a floating address of an external network that leads to a port."""
    return _floating(
        connection().network.create_ip(
            description=description, floating_network_id=network_id, port_id=port_id
        )
    )


@cloud_call
def page_of_floating_addresses(after: str | None, limit: int) -> list[FloatingAddress]:
    """A page of the floating addresses that the service's project has, whoever made them."""
    raw = connection().network.ips(
        project_id=own_project(), marker=after, limit=limit, paginated=False
    )
    return [_floating(each) for each in raw]


@cloud_call
def delete_floating_address(address_id: str) -> None:
    """Delete a floating address; one that is gone is fine."""
    connection().network.delete_ip(address_id, ignore_missing=True)


def _named(instance_id: str) -> dict[str, str]:
    return {"name": names.network(instance_id), "project_id": own_project()}


def _owner(raw: Any) -> str | None:
    own = raw.project_id == own_project()
    return names.marked_in_description(raw.description or "") if own else None


def _group(raw: Any) -> SecurityGroup:
    rules = {
        Rule(rule["port_range_min"], canonical(rule["remote_ip_prefix"])): rule["id"]
        for rule in raw.security_group_rules or []
        if rule["direction"] == "ingress" and rule["port_range_min"] and rule["remote_ip_prefix"]
    }
    return SecurityGroup(id=raw.id, name=raw.name, rules=rules, owner=_owner(raw))


def canonical(cidr: str) -> str:
    """A network as we write it: IPv6 has many ways to write one, and a rule is found by its text.

    What is none is left as it is.
    """
    try:
        return str(ip_network(cidr, strict=False))
    except ValueError:
        return cidr


def _port(raw: Any) -> Port:
    addresses = tuple(fixed["ip_address"] for fixed in raw.fixed_ips or [])
    return Port(
        id=raw.id,
        name=raw.name,
        network_id=raw.network_id,
        addresses=addresses,
        owner=_owner(raw),
        group_ids=tuple(raw.security_group_ids or ()),
        device_id=raw.device_id or "",
    )


def _floating(raw: Any) -> FloatingAddress:
    return FloatingAddress(
        id=raw.id,
        address=raw.floating_ip_address,
        network_id=raw.floating_network_id,
        port_id=raw.port_id,
        owner=_owner(raw),
    )
