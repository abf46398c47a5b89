"""Networks, ports, security groups and floating addresses."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.auth.networks import Look
from chalicelib.cloud import names, network
from chalicelib.errors import BadRequest
from chalicelib.settings import settings
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import CloudError, NotFound
from simulator.cloud.model.floating import FloatingAddress
from simulator.cloud.model.network import Port
from simulator.cloud.model.security_groups import SecurityGroup, Traffic
from simulator.cloud_functions.stand_ins import (
    Functions,
    StandIns,
    oldest_first,
    page_of,
    unless_gone,
)


def shown_to_tenants(cloud: Cloud) -> Look:
    """What `chalicelib.auth.networks` does, on the model: a tenant's project is its own token."""

    def look(_token: str, project_id: str, nic: Mapping[str, str]) -> str | None:
        network_id = nic.get("network_id")
        neutron, tenant = cloud.network, Caller("", project_id, frozenset({"member"}))
        try:
            if network_id is None:
                network_id = neutron.subnet(tenant, nic["subnet_id"]).network_id
        except NotFound:
            return None
        if network_id == settings().network_id:
            return None
        try:
            found = neutron.network(tenant, network_id)
        except NotFound:
            raise BadRequest(f"Network {network_id} cannot be found.") from None
        if not (neutron.is_shared(tenant, found) or found.project_id == project_id):
            raise BadRequest(f"Network {network_id} cannot be found.")
        return network_id

    return look


class Network(StandIns):
    """Neutron."""

    def functions(self) -> Functions:
        """By module and name."""
        return {
            network: {
                "get_network": self._get_network,
                "get_subnet": self._get_subnet,
                "find_security_groups": self._find_security_groups,
                "create_security_group": self._create_security_group,
                "create_rule": self._create_rule,
                "delete_rule": self._delete_rule,
                "delete_security_group": self._delete_security_group,
                "page_of_security_groups": self._page_of_security_groups,
                "find_ports": self._find_ports,
                "create_port": self._create_port,
                "delete_port": self._delete_port,
                "page_of_ports": self._page_of_ports,
                "find_external_network": self._find_external_network,
                "find_floating_addresses": self._find_floating_addresses,
                "create_floating_address": self._create_floating_address,
                "page_of_floating_addresses": self._page_of_floating_addresses,
                "delete_floating_address": self._delete_floating_address,
            },
        }

    def _get_network(self, network_id: str) -> network.Network | None:
        def show() -> network.Network:
            found = self.cloud.network.network(self.caller, network_id)
            with self.cloud.faults.around("network", "get_network", found.name):
                return network.Network(found.id, found.project_id, found.shared)

        return unless_gone(show)

    def _get_subnet(self, subnet_id: str) -> network.Subnet | None:
        def show() -> network.Subnet:
            found = self.cloud.network.subnet(self.caller, subnet_id)
            with self.cloud.faults.around("network", "get_subnet", found.name):
                return network.Subnet(found.id, found.network_id, str(found.cidr))

        return unless_gone(show)

    def _find_security_groups(self, instance_id: str) -> list[network.SecurityGroup]:
        name = names.network(instance_id)
        found = [group for group in self._own_groups() if group.name == name]
        owned = [self._group(each) for each in oldest_first(found)]
        return [each for each in owned if each.owner == instance_id]

    def _page_of_security_groups(
        self, after: str | None, limit: int
    ) -> list[network.SecurityGroup]:
        return [self._group(each) for each in page_of(self._own_groups(), after, limit)]

    def _own_groups(self) -> list[SecurityGroup]:
        groups = self.cloud.network.security_groups.list(self.caller)
        return [group for group in groups if group.project_id == self.caller.project_id]

    def _create_security_group(self, name: str, description: str) -> network.SecurityGroup:
        groups = self.cloud.network.security_groups
        return self._group(groups.create(self.caller, self.caller.project_id, name, description))

    def _create_rule(self, group_id: str, rule: network.Rule) -> None:
        traffic = Traffic(
            direction="ingress",
            ethertype="IPv6" if ":" in rule.cidr else "IPv4",
            protocol="tcp",
            port_range_min=rule.port,
            port_range_max=rule.port,
            remote_ip_prefix=rule.cidr,
        )
        try:
            self.cloud.network.security_groups.create_rule(self.caller, group_id, traffic)
        except CloudError as refusal:
            if refusal.kind != "SecurityGroupRuleExists":
                raise

    def _delete_rule(self, rule_id: str) -> None:
        groups = self.cloud.network.security_groups
        unless_gone(lambda: groups.delete_rule(self.caller, rule_id))

    def _delete_security_group(self, group_id: str) -> None:
        groups = self.cloud.network.security_groups
        unless_gone(lambda: groups.delete(self.caller, group_id))

    def _find_ports(self, instance_id: str) -> list[network.Port]:
        name = names.network(instance_id)
        found = [port for port in self._own_ports() if port.name == name]
        owned = [self._port(each) for each in oldest_first(found)]
        return [each for each in owned if each.owner == instance_id]

    def _page_of_ports(self, after: str | None, limit: int) -> list[network.Port]:
        return [self._port(each) for each in page_of(self._own_ports(), after, limit)]

    def _own_ports(self) -> list[Port]:
        ports = self.cloud.network.list_ports(self.caller)
        return [port for port in ports if port.project_id == self.caller.project_id]

    def _create_port(
        self,
        name: str,
        description: str,
        *,
        network_id: str,
        security_group_id: str,
        subnet_id: str | None,
        ip_address: str | None,
    ) -> network.Port:
        fixed = (subnet_id or None, ip_address or None)
        made = self.cloud.network.create_port(
            self.caller,
            network_id,
            name=name,
            description=description,
            wanted=[fixed] if any(fixed) else None,
            security_group_ids=[security_group_id],
        )
        return self._port(made)

    def _delete_port(self, port_id: str) -> None:
        unless_gone(lambda: self.cloud.network.delete_port(self.caller, port_id))

    def _find_external_network(self) -> str | None:
        with self.cloud.faults.around("network", "list_networks", ""):
            networks = self.cloud.network.networks.values()
            return min((each.id for each in networks if each.external), default=None)

    def _find_floating_addresses(self, instance_id: str) -> list[network.FloatingAddress]:
        owned = [self._floating(each) for each in oldest_first(self._own_floating())]
        return [each for each in owned if each.owner == instance_id]

    def _page_of_floating_addresses(
        self, after: str | None, limit: int
    ) -> list[network.FloatingAddress]:
        return [self._floating(each) for each in page_of(self._own_floating(), after, limit)]

    def _own_floating(self) -> list[FloatingAddress]:
        found = self.cloud.network.floating.list(self.caller)
        return [each for each in found if each.project_id == self.caller.project_id]

    def _create_floating_address(
        self, description: str, *, network_id: str, port_id: str
    ) -> network.FloatingAddress:
        neutron = self.cloud.network
        made = neutron.floating.create(self.caller, network_id, port_id, description)
        return self._floating(made)

    def _delete_floating_address(self, address_id: str) -> None:
        unless_gone(lambda: self.cloud.network.floating.delete(self.caller, address_id))

    def _group(self, one: SecurityGroup) -> network.SecurityGroup:
        rules = {
            network.Rule(
                rule.traffic.port_range_min, network.canonical(rule.traffic.remote_ip_prefix)
            ): rule.id
            for rule in one.rules.values()
            if rule.traffic.direction == "ingress"
            and rule.traffic.port_range_min
            and rule.traffic.remote_ip_prefix
        }
        owner = self.described(one.project_id, one.description)
        return network.SecurityGroup(id=one.id, name=one.name, rules=rules, owner=owner)

    def _port(self, one: Port) -> network.Port:
        return network.Port(
            id=one.id,
            name=one.name,
            network_id=one.network_id,
            addresses=tuple(address for _, address in one.fixed_ips),
            owner=self.described(one.project_id, one.description),
            group_ids=tuple(one.security_group_ids),
            device_id=one.device_id,
        )

    def _floating(self, one: FloatingAddress) -> network.FloatingAddress:
        return network.FloatingAddress(
            id=one.id,
            address=one.address,
            network_id=one.network_id,
            port_id=one.port_id,
            owner=self.described(one.project_id, one.description),
        )
