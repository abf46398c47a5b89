"""Neutron's networks, subnets and ports, with the allocation of addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.errors import BadRequest, Conflict, Forbidden, NotFound, QuotaExceeded
from simulator.cloud.model.faults import Faults
from simulator.cloud.model.floating import FloatingAddress, FloatingAddresses
from simulator.cloud.model.quota import Quotas
from simulator.cloud.model.seams import Clock, Ids
from simulator.cloud.model.security_groups import SecurityGroups
from simulator.cloud.model.sharing import Policy, Sharing

Range = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass
class Network:
    """A network; a shared one can be used from every project."""

    id: str
    name: str
    project_id: str
    created_at: float
    updated_at: float
    description: str = ""
    shared: bool = False
    external: bool = False
    admin_state_up: bool = True
    tags: list[str] = field(default_factory=list)


@dataclass
class Subnet:
    """A range of addresses; `first` to `last` are handed out, `cursor` was the latest."""

    id: str
    name: str
    network_id: str
    project_id: str
    cidr: Range
    gateway: str | None
    first: int
    last: int
    created_at: float
    enable_dhcp: bool = True
    cursor: int = 0
    description: str = ""
    tags: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Port:
    """A port with its fixed addresses: (subnet id, address) pairs."""

    id: str
    name: str
    network_id: str
    project_id: str
    mac_address: str
    fixed_ips: list[tuple[str, str]]
    security_group_ids: list[str]
    created_at: float
    updated_at: float
    description: str = ""
    device_id: str = ""
    device_owner: str = ""
    status: str = "DOWN"
    admin_state_up: bool = True
    tags: list[str] = field(default_factory=list)


class NetworkService:
    """Networks, subnets and ports; beside them `security_groups` and `floating` addresses."""

    def __init__(self, clock: Clock, ids: Ids, faults: Faults, quotas: Quotas) -> None:
        self._clock = clock
        self._ids = ids
        self._faults = faults
        self.quotas = quotas
        self.networks: dict[str, Network] = {}
        self.subnets: dict[str, Subnet] = {}
        self.ports: dict[str, Port] = {}
        self._addresses: dict[tuple[str, str], str] = {}
        self.security_groups = SecurityGroups(clock, ids, faults, quotas, self._group_users)
        self.sharing = Sharing(ids, self._has_ports)
        self.floating = FloatingAddresses(
            clock, ids, faults, self.network, self.port, self._check_quota
        )

    def create_network(
        self,
        caller: Caller,
        name: str,
        *,
        network_id: str | None = None,
        shared: bool = False,
        external: bool = False,
    ) -> Network:
        """Make a network; only an admin makes a shared or external one."""
        caller.require_write("create_network")
        with self._faults.around("network", "create_network", name):
            if shared or external:
                caller.require_admin("create_network:shared")
            self._check_quota(caller.project_id, "network", self.networks.values())
            now = self._clock()
            identifier = network_id or self._ids.uuid()
            network = Network(
                identifier,
                name,
                caller.project_id,
                now,
                now,
                shared=shared,
                external=external,
            )
            self.networks[network.id] = network
            return network

    def network(self, caller: Caller, network_id: str) -> Network:
        """A network that the caller may use, or NotFound."""
        network = self.networks.get(network_id)
        if network is None or not self.may_use(caller, network):
            raise NotFound(f"Network {network_id} could not be found.", kind="NetworkNotFound")
        return network

    def may_use(self, caller: Caller, network: Network) -> bool:
        """Whether the caller sees the network: its own, a shared or an external one."""
        return (
            caller.may_connect(network.project_id)
            or self.is_shared(caller, network)
            or network.external
        )

    def is_shared(self, caller: Caller, network: Network) -> bool:
        """Whether the network is shared as the caller sees it: with all, or with its project."""
        return network.shared or self.sharing.with_(caller.project_id, network.id)

    def share(self, caller: Caller, network_id: str, target: str) -> Policy:
        """Share a network that the caller sees by a policy."""
        network = self.network(caller, network_id)
        return self.sharing.create(caller, network.project_id, network_id, target)

    def delete_network(self, caller: Caller, network_id: str) -> None:
        """Remove a network and its subnets; Conflict while it has ports."""
        network = self.network(caller, network_id)
        self._require_owner(caller, network.project_id, "delete_network")
        with self._faults.around("network", "delete_network", network.name):
            if any(port.network_id == network_id for port in self.ports.values()):
                raise Conflict(
                    f"Unable to complete operation on network {network_id}. There are one or more "
                    "ports still in use on the network.",
                    kind="NetworkInUse",
                )
            self.subnets = {k: s for k, s in self.subnets.items() if s.network_id != network_id}
            self.sharing.forget(network_id)
            del self.networks[network_id]

    def create_subnet(
        self,
        caller: Caller,
        network_id: str,
        cidr: str,
        name: str = "",
        *,
        gateway: str | None = None,
        pool: tuple[str, str] | None = None,
        subnet_id: str | None = None,
        enable_dhcp: bool = True,
    ) -> Subnet:
        """Make a subnet; without a pool it hands out all but network, gateway and broadcast.

        The gateway is its first address, or `gateway`, or with an empty one there is none.
        """
        network = self.network(caller, network_id)
        self._require_owner(caller, network.project_id, "create_subnet")
        with self._faults.around("network", "create_subnet", name):
            self._check_quota(caller.project_id, "subnet", self.subnets.values())
            try:
                block = ipaddress.ip_network(cidr)
                ends = pool or (block[1], block[-2])
                first, last = (int(ipaddress.ip_address(end)) for end in ends)
            except (ValueError, IndexError) as error:
                raise BadRequest(f"Invalid input for cidr. Reason: {error}") from error
            if any(
                subnet.network_id == network_id and _overlap(subnet.cidr, block)
                for subnet in self.subnets.values()
            ):
                raise BadRequest(
                    f"Invalid input for operation: Requested subnet with cidr: {cidr} for network: "
                    f"{network_id} overlaps with another subnet.",
                    kind="InvalidInput",
                )
            subnet = Subnet(
                id=subnet_id or self._ids.uuid(),
                name=name,
                network_id=network_id,
                project_id=network.project_id,
                cidr=block,
                gateway=(str(block.network_address + 1) if gateway is None else gateway) or None,
                first=first,
                last=last,
                created_at=self._clock(),
                enable_dhcp=enable_dhcp,
                cursor=first - 1,
            )
            self.subnets[subnet.id] = subnet
            return subnet

    def subnet(self, caller: Caller, subnet_id: str) -> Subnet:
        """A subnet of a network that the caller may use, or NotFound."""
        subnet = self.subnets.get(subnet_id)
        if subnet is None or not self.may_use(caller, self.networks[subnet.network_id]):
            raise NotFound(f"Subnet {subnet_id} could not be found.", kind="SubnetNotFound")
        return subnet

    def delete_subnet(self, caller: Caller, subnet_id: str) -> None:
        """Remove a subnet; Conflict while a port has an address of it."""
        subnet = self.subnet(caller, subnet_id)
        self._require_owner(caller, subnet.project_id, "delete_subnet")
        with self._faults.around("network", "delete_subnet", subnet.name):
            if any(key[0] == subnet_id for key in self._addresses):
                raise Conflict(
                    f"Unable to complete operation on subnet {subnet_id}: One or more ports have "
                    "an IP allocation from this subnet.",
                    kind="SubnetInUse",
                )
            del self.subnets[subnet_id]

    def create_port(
        self,
        caller: Caller,
        network_id: str,
        *,
        name: str = "",
        project_id: str | None = None,
        description: str = "",
        wanted: Iterable[tuple[str | None, str | None]] | None = None,
        security_group_ids: list[str] | None = None,
        device_id: str = "",
        device_owner: str = "",
        tags: Iterable[str] = (),
    ) -> Port:
        """Make a port with an address of each wanted (subnet id, address); by default one of any.

        Without groups it gets the project's `default` one. A service makes another project's, too.
        """
        caller.require_write("create_port")
        with self._faults.around("network", "create_port", name):
            owner = self.owner(caller, project_id, by_services=True)
            network = self.network(caller, network_id)
            wanted = None if wanted is None else list(wanted)
            self._require_place(caller, network, chosen=any(ip for _, ip in wanted or ()))
            self._check_quota(owner, "port", self.ports.values())
            for group_id in security_group_ids or ():
                self.security_groups.get(caller, group_id)
            if security_group_ids is None:
                security_group_ids = [self.security_groups.default(owner).id]
            now = self._clock()
            identifier = self._ids.uuid()
            port = Port(
                id=identifier,
                name=name,
                network_id=network.id,
                project_id=owner,
                mac_address=_mac(identifier),
                fixed_ips=self.allocate(network, identifier, wanted),
                security_group_ids=list(security_group_ids),
                created_at=now,
                updated_at=now,
                description=description,
                device_id=device_id,
                device_owner=device_owner,
                tags=list(tags),
            )
            self.ports[port.id] = port
            return port

    def port(self, caller: Caller, port_id: str) -> Port:
        """A port that the caller may see, or NotFound."""
        port = self.ports.get(port_id)
        if port is None or not caller.may_connect(port.project_id):
            raise NotFound(f"Port {port_id} could not be found.", kind="PortNotFound")
        return port

    def get_port(self, caller: Caller, port_id: str) -> Port:
        """As `port`, as a call of its own (a fault may hit it)."""
        port = self.port(caller, port_id)
        with self._faults.around("network", "get_port", port.name) as fault:
            if fault and fault.mode == "vanish":
                self.remove_port(port_id)
                return self.port(caller, port_id)
            return port

    def list_ports(self, caller: Caller) -> list[Port]:
        """The ports that the caller may see, in the order of their making."""
        with self._faults.around("network", "list_ports", ""):
            return [port for port in self.ports.values() if caller.may_connect(port.project_id)]

    def update_port(self, caller: Caller, port_id: str, changes: dict[str, object]) -> Port:
        """Change name, description, device, state or security groups of a port."""
        port = self.port(caller, port_id)
        with self._faults.around("network", "update_port", port.name):
            groups = changes.get("security_groups")
            if isinstance(groups, list):
                for group_id in groups:
                    self.security_groups.get(caller, str(group_id))
                port.security_group_ids = [str(group_id) for group_id in groups]
            for attribute in ("name", "description", "device_id", "device_owner"):
                if attribute in changes:
                    setattr(port, attribute, str(changes[attribute] or ""))
            if "admin_state_up" in changes:
                port.admin_state_up = bool(changes["admin_state_up"])
            port.updated_at = self._clock()
            return port

    def delete_port(self, caller: Caller, port_id: str) -> None:
        """Remove a port; Neutron lets a port of a server go as well."""
        port = self.port(caller, port_id)
        with self._faults.around("network", "delete_port", port.name) as fault:
            if fault and fault.mode == "stuck":
                return
            self.remove_port(port_id)

    def remove_port(self, port_id: str) -> None:
        """Remove a port if it is there and free its addresses."""
        port = self.ports.pop(port_id, None)
        if port is not None:
            for pair in port.fixed_ips:
                self._addresses.pop(pair, None)
            self.floating.release(port_id)

    def bind_port(self, port: Port, device_id: str, device_owner: str, status: str) -> None:
        """Give a port to a device, or take it back (all empty, `DOWN`)."""
        port.device_id, port.device_owner, port.status = device_id, device_owner, status
        port.updated_at = self._clock()

    def netmask(self, subnet_id: str) -> str:
        """The netmask of a subnet (`255.255.0.0`)."""
        return str(self.subnets[subnet_id].cidr.netmask)

    def owner(self, caller: Caller, project_id: str | None, *, by_services: bool = False) -> str:
        """The project of a new resource: the caller's; an admin may name another.

        So may the role `service` where the policy lets it; to members naming one is a mistake.
        """
        if not project_id or project_id == caller.project_id:
            return caller.project_id
        if not caller.is_service:
            raise BadRequest(
                "Specifying 'project_id' other than the authenticated project in request is not "
                "allowed for the current user.",
                kind="HTTPBadRequest",
            )
        if not (caller.is_admin or by_services):
            raise Forbidden("rule:create for another project is disallowed by policy")
        return project_id

    def allocate(
        self,
        network: Network,
        port_id: str,
        wanted: Iterable[tuple[str | None, str | None]] | None,
    ) -> list[tuple[str, str]]:
        subnets = [s for s in self.subnets.values() if s.network_id == network.id]
        if wanted is None:  # one of each family
            families = {subnet.cidr.version: (subnet.id, None) for subnet in reversed(subnets)}
            wanted = [families[version] for version in sorted(families)]
        pairs: list[tuple[str, str]] = []
        for subnet_id, address in wanted:
            subnet = _choose_subnet(network, subnets, subnet_id, address)
            pair = (subnet.id, self._take_address(subnet, address))
            pairs.append(pair)
        for pair in pairs:
            self._addresses[pair] = port_id
        return pairs

    def _take_address(self, subnet: Subnet, address: str | None) -> str:
        """The wanted address, or the next free one.

        It goes round the pool, so that an address just freed is not handed out at once.
        """
        if address is not None:
            if (subnet.id, address) in self._addresses:
                raise Conflict(
                    f"IP address {address} already allocated in subnet {subnet.id}",
                    kind="IpAddressAlreadyAllocated",
                )
            return address
        size = subnet.last - subnet.first + 1
        for _ in range(size):
            subnet.cursor = subnet.first + (subnet.cursor + 1 - subnet.first) % size
            candidate = str(subnet.cidr[subnet.cursor - int(subnet.cidr.network_address)])
            if (subnet.id, candidate) not in self._addresses and candidate != subnet.gateway:
                return candidate
        raise Conflict(
            f"No more IP addresses available on network {subnet.network_id}.",
            kind="IpAddressGenerationFailure",
        )

    def _require_place(self, caller: Caller, network: Network, *, chosen: bool) -> None:
        """Neutron's default policy: a port for a network's owner, for a service, and for whom it is
        shared with; at an address of one's choice not for the last."""
        if caller.may_connect(network.project_id):
            return
        if chosen or not self.is_shared(caller, network):
            rule = "create_port:fixed_ips:ip_address" if chosen else "create_port"
            raise Forbidden(f"(rule:create_port and rule:{rule}) is disallowed by policy")

    def _has_ports(self, project_id: str, network_id: str) -> bool:
        return any(
            port.network_id == network_id and port.project_id == project_id
            for port in self.ports.values()
        )

    def _group_users(self, group_id: str) -> bool:
        return any(group_id in port.security_group_ids for port in self.ports.values())

    def _check_quota(
        self,
        project_id: str,
        resource: str,
        existing: Iterable[Network | Subnet | Port | FloatingAddress],
    ) -> None:
        used = sum(1 for thing in existing if thing.project_id == project_id)
        if self.quotas.exceeded(project_id, {resource: used}, {resource: 1}):
            raise QuotaExceeded(f"Quota exceeded for resources: ['{resource}'].", status=409)

    @staticmethod
    def _require_owner(caller: Caller, project_id: str, rule: str) -> None:
        if not caller.may_see(project_id):
            raise Forbidden(f"rule:{rule} is disallowed by policy")


def _choose_subnet(
    network: Network, subnets: list[Subnet], subnet_id: str | None, address: str | None
) -> Subnet:
    for subnet in subnets:
        if subnet_id is not None and subnet.id != subnet_id:
            continue
        if address is None or _contains(subnet, address):
            return subnet
    raise BadRequest(
        f"Invalid input for operation: Failed to create port on network {network.id}, because "
        "fixed_ips included invalid subnet or address.",
        kind="InvalidInput",
    )


def _contains(subnet: Subnet, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in subnet.cidr
    except ValueError as error:
        raise BadRequest(f"'{address}' is not a valid IP address.") from error


def _overlap(one: Range, other: Range) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.overlaps(other)
    return isinstance(other, ipaddress.IPv6Network) and one.overlaps(other)


def _mac(port_id: str) -> str:
    digits = port_id.replace("-", "")[-6:]
    return f"fa:16:3e:{digits[0:2]}:{digits[2:4]}:{digits[4:6]}"
