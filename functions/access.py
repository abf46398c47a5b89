"""Who may reach an instance: the rules of its security group, and its public address.

A create uses these, and each change of the access later. Every call looks at what is there first,
so the same call finishes what a worker began that died.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib import engines
from chalicelib.cloud import names, network
from chalicelib.cloud.errors import Refused
from chalicelib.domain import instances
from chalicelib.settings import settings
from chalicelib.store.models import Instance


def allow(group: network.SecurityGroup, instance: Instance, access: Mapping[str, Any]) -> None:
    """Open the datastore's ports to the allowed networks, then close them to all others.

    Rules on other ports are somebody else's: an operator's defaults for every group.
    """
    wanted, present = _rules(instance, access), _present(instance, group)
    for rule in _ordered(wanted - present):
        network.create_rule(group.id, rule)
    for rule in _ordered(present - wanted):
        network.delete_rule(group.rules[rule])


def publish(
    instance_id: str, port: network.Port, access: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Give the port its public address, or take it away; answers all its addresses.

    Raises `Refused` when the cloud has no network to take one from.
    """
    found = network.find_floating_addresses(instance_id)
    public = bool(access.get("is_public"))
    kept = next((each for each in found if public and each.port_id == port.id), None)
    for extra in found:
        if extra is not kept:
            network.delete_floating_address(extra.id)
    if public and kept is None:
        kept = _new_address(instance_id, port)
    return addresses(port, [kept] if kept else [])


def addresses(
    port: network.Port, floating: Iterable[network.FloatingAddress]
) -> list[dict[str, str]]:
    """The addresses of an instance as Trove tells them: the port's own, then the public ones."""
    return [
        *(
            {"address": each, "type": "private", "network": port.network_id}
            for each in port.addresses
        ),
        *(
            {"address": each.address, "type": "public", "network": each.network_id}
            for each in floating
        ),
    ]


def holds(instance: Instance, access: Mapping[str, Any]) -> bool:
    """Whether the cloud shows the access: a delete that was answered with 404 is not believed."""
    groups = network.find_security_groups(instance.id)
    public = network.find_floating_addresses(instance.id)
    closed = [_present(instance, group) for group in groups] == [_rules(instance, access)]
    return closed and len(public) == int(bool(access.get("is_public")))


def _rules(instance: Instance, access: Mapping[str, Any]) -> set[network.Rule]:
    return {
        network.Rule(port=port, cidr=cidr)
        for port in engines.tcp_ports(instance.manager)
        for cidr in instances.sources(access.get("allowed_cidrs") or [])
    }


def _present(instance: Instance, group: network.SecurityGroup) -> set[network.Rule]:
    ports = engines.tcp_ports(instance.manager)
    return {rule for rule in group.rules if rule.port in ports}


def _new_address(instance_id: str, port: network.Port) -> network.FloatingAddress:
    network_id = settings().public_network_id or network.find_external_network()
    if network_id is None:
        raise Refused("This cloud has no external network for a public address; ask the operator.")
    return network.create_floating_address(
        names.description(instance_id), network_id=network_id, port_id=port.id
    )


def _ordered(rules: Iterable[network.Rule]) -> list[network.Rule]:
    return sorted(rules, key=lambda rule: (rule.port, rule.cidr))
