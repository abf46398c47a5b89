"""The functions of `chalicelib.cloud` over the model that `simulator/cloud` serves, without HTTP.

Each stands in the place of the original of the same name and signature, makes the same one call on
the model, passes the effects of the run, and raises what the original would for the same refusal.
"""

from __future__ import annotations

import base64
import functools
import html
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from types import ModuleType
from typing import Any, Final, TypeVar

from chalicelib.cloud import flavors, images, names, network, servers, session, volumes
from chalicelib.settings import settings
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable
from simulator.cloud.model.errors import CloudError as Refusal
from simulator.cloud.model.network import FloatingAddress, Port
from simulator.cloud.model.seams import Hypervisor
from simulator.cloud.model.security_groups import SecurityGroup, Traffic
from simulator.cloud.model.server import NetworkWish, Server, ServerWish, VolumeWish
from simulator.cloud.model.settings import CloudSettings
from simulator.cloud.model.volume import Volume
from simulator.effects import Effects
from simulator.kernel import Kernel

T = TypeVar("T")
Thing = TypeVar("Thing", Server, Volume, Port, SecurityGroup, FloatingAddress)

SERVICE_USER: Final = "coffer"
SERVICE_PROJECT: Final = "service"
IMAGE_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)


class StreamIds:
    """Ids of the cloud from a random stream of its own."""

    def __init__(self, kernel: Kernel) -> None:
        self._stream = kernel.stream("cloud ids")

    def uuid(self) -> str:
        """A UUID with dashes."""
        text = f"{self._stream.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-b{text[17:20]}-{text[20:]}"

    def token(self) -> str:
        """As unguessable as the run's seed."""
        return self._stream.randbytes(32).hex()


def make_cloud(
    kernel: Kernel, hypervisor: Hypervisor, settings: CloudSettings | None = None
) -> Cloud:
    """A cloud on the kernel's time; the caller bootstraps it."""

    def later(seconds: float, action: Callable[[], None]) -> None:
        kernel.call_later(seconds, action)

    return Cloud(lambda: kernel.now, StreamIds(kernel), later, hypervisor, settings)


def service_caller(cloud: Cloud) -> Caller:
    """Coffer's own user in a cloud that was bootstrapped."""
    users, projects = cloud.identity.users.values(), cloud.identity.projects.values()
    user = next(user for user in users if user.name == SERVICE_USER)
    project = next(project for project in projects if project.name == SERVICE_PROJECT)
    roles = cloud.identity.roles_of(user.id, project.id)
    return Caller(user.id, project.id, frozenset(role.name for role in roles))


class _Body:
    """The body of a refusal, as far as the errors' translation reads it."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def json(self) -> dict[str, dict[str, str]]:
        """Neutron's form."""
        return {"NeutronError": {"type": self._kind}}


class _HttpError(Exception):
    """A refusal of the model, as the SDK's HTTP error would tell it."""

    def __init__(self, refusal: Refusal, *, as_page: bool) -> None:
        super().__init__(refusal.message)
        self.status_code = refusal.status
        self.details = refusal.message
        self.response = _Body(refusal.kind)
        if as_page:  # Glance's errors are web pages, which the SDK strips of their tags
            title = f"{refusal.status} {HTTPStatus(refusal.status).phrase}"
            self.details = f"{title}: {html.escape(refusal.message)}"


class CloudFunctions:
    """The functions, bound to one cloud and one caller. `install` puts them in their places."""

    def __init__(
        self, kernel: Kernel, effects: Effects, cloud: Cloud, caller: Caller | None = None
    ) -> None:
        self.kernel = kernel
        self.cloud = cloud
        self.caller = caller or service_caller(cloud)
        self._effects = effects
        self._originals: list[tuple[ModuleType, str, Any]] = []

    def install(self) -> None:
        """Replace the originals by these, in this process."""
        assert not self._originals, "the simulated functions are in their places already"
        for module, functions in self._functions().items():
            for name, function in functions.items():
                self._originals.append((module, name, getattr(module, name)))
                setattr(module, name, self._cloud_call(module, name, function))

    def uninstall(self) -> None:
        """Put the originals back."""
        while self._originals:
            module, name, original = self._originals.pop()
            setattr(module, name, original)

    def _functions(self) -> dict[ModuleType, dict[str, Callable[..., Any]]]:
        return {
            servers: {
                "find": self._find_servers,
                "get": self._get_server,
                "page": self._page_of_servers,
                "find_zones": self._find_zones,
                "create": self._create_server,
                "stop": self._stop_server,
                "start": self._start_server,
                "delete": self._delete_server,
            },
            volumes: {
                "find": self._find_volumes,
                "page": self._page_of_volumes,
                "get": self._get_volume,
                "create": self._create_volume,
                "extend": self._extend_volume,
                "delete": self._delete_volume,
                "find_type": self._find_volume_type,
                "get_type_projects": self._volume_type_projects,
            },
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
            images: {"newest_with_tags": self._newest_with_tags},
            flavors: {"list_all": self._list_all_flavors},
        }

    def _cloud_call(
        self, module: ModuleType, name: str, function: Callable[..., Any]
    ) -> Callable[..., Any]:
        """What the decorator of the originals does: one effect, and errors that are ours."""
        call = f"{module.__name__.rsplit('.', 1)[-1]}.{name}"
        signature = inspect.signature(function)
        is_image = module is images

        @functools.wraps(getattr(module, name))
        def stand_in(*args: Any, **kwargs: Any) -> Any:
            what = signature.bind(*args, **kwargs).arguments

            def once() -> Any:
                return self._effects.perform("openstack", call, lambda: function(**what), **what)

            try:
                return self._patiently(once) if is_image else once()
            except Refusal as refusal:
                http = _HttpError(refusal, as_page=is_image)
                raise session.from_http(http, session.spoken(module.__name__, name)) from None

        return stand_in

    def _patiently(self, call: Callable[[], T]) -> T:
        """As the SDK calls Glance: a 503 is tried again, with growing pauses."""
        for pause in IMAGE_RETRY_SECONDS:
            try:
                return call()
            except Unavailable:
                if self.kernel.current is not None:
                    self.kernel.sleep(pause)
        return call()

    # -------------------------------------------------------------------------- compute

    def _find_servers(self, instance_id: str) -> list[servers.Server]:
        wanted = re.compile(names.server_pattern(instance_id))
        found = [s for s in self.cloud.compute.list(self.caller) if wanted.search(s.name)]
        owned = [self._server(each) for each in _oldest_first(found)]
        return [each for each in owned if each.owner == instance_id]

    def _get_server(self, server_id: str) -> servers.Server | None:
        found = _unless_gone(lambda: self.cloud.compute.show(self.caller, server_id))
        return self._server(found) if found else None

    def _page_of_servers(self, after: str | None, limit: int) -> list[servers.Server]:
        found = self.cloud.compute.list(self.caller)
        return [self._server(each) for each in _slice(found, after, limit)]

    def _find_zones(self) -> frozenset[str]:
        return frozenset(self.cloud.compute.list_zones())

    def _create_server(
        self,
        name: str,
        *,
        image_id: str,
        flavor_id: str,
        port_id: str,
        volume_id: str,
        user_data: str,
        availability_zone: str | None,
        metadata: Mapping[str, str],
    ) -> str:
        wish = ServerWish(
            name=name,
            flavor_id=flavor_id,
            image_id=image_id,
            networks=(NetworkWish(port_id=port_id),),
            volumes=(VolumeWish(volume_id),),
            metadata=dict(metadata),
            user_data=base64.b64encode(user_data.encode()).decode(),
            availability_zone=availability_zone,
        )
        return self.cloud.compute.create(self.caller, wish).id

    def _stop_server(self, server_id: str) -> None:
        self.cloud.compute.stop(self.caller, server_id)

    def _start_server(self, server_id: str) -> None:
        self.cloud.compute.start(self.caller, server_id)

    def _delete_server(self, server_id: str) -> None:
        _unless_gone(lambda: self.cloud.compute.delete(self.caller, server_id))

    def _list_all_flavors(self) -> list[flavors.CloudFlavor]:
        with self.cloud.faults.around("compute", "list_flavors", ""):
            return [
                flavors.CloudFlavor(
                    id=each.id,
                    name=each.name,
                    ram=each.ram,
                    vcpus=each.vcpus,
                    disk=each.disk,
                    ephemeral=0,
                )
                for each in self.cloud.compute.flavors.flavors.values()
            ]

    # --------------------------------------------------------------------------- volume

    def _find_volumes(self, instance_id: str) -> list[volumes.Volume]:
        name = names.volume(instance_id)
        found = [v for v in self.cloud.volume.list(self.caller) if v.name == name]
        ordered = sorted(found, key=lambda volume: (volume.created_at, volume.id))
        return [each for each in map(self._volume, ordered) if each.owner == instance_id]

    def _page_of_volumes(self, after: str | None, limit: int) -> list[volumes.Volume]:
        found = self.cloud.volume.list(self.caller)
        return [self._volume(each) for each in _slice(found, after, limit)]

    def _get_volume(self, volume_id: str) -> volumes.Volume | None:
        found = _unless_gone(lambda: self.cloud.volume.show(self.caller, volume_id))
        return self._volume(found) if found else None

    def _create_volume(
        self,
        name: str,
        *,
        size_gib: int,
        volume_type: str | None,
        availability_zone: str | None,
        metadata: Mapping[str, str],
    ) -> volumes.Volume:
        made = self.cloud.volume.create(
            self.caller,
            size_gib,
            name=name,
            volume_type=volume_type,
            metadata=dict(metadata),
            availability_zone=availability_zone,
        )
        return self._volume(made)

    def _extend_volume(self, volume_id: str, size_gib: int) -> None:
        self.cloud.volume.extend(self.caller, volume_id, size_gib)

    def _delete_volume(self, volume_id: str) -> None:
        _unless_gone(lambda: self.cloud.volume.delete(self.caller, volume_id))

    def _find_volume_type(self, name_or_id: str) -> volumes.VolumeType | None:
        for each in self.cloud.volume.list_types(self.caller):
            if name_or_id in (each.id, each.name):
                return volumes.VolumeType(each.id, each.name, each.projects is None)
        return None

    def _volume_type_projects(self, type_id: str) -> frozenset[str]:
        try:
            return self.cloud.volume.type_access(self.caller, type_id)
        except Forbidden:
            return frozenset()

    # -------------------------------------------------------------------------- network

    def _get_network(self, network_id: str) -> network.Network | None:
        def show() -> network.Network:
            found = self.cloud.network.network(self.caller, network_id)
            with self.cloud.faults.around("network", "get_network", found.name):
                return network.Network(found.id, found.project_id, found.shared)

        return _unless_gone(show)

    def _get_subnet(self, subnet_id: str) -> network.Subnet | None:
        def show() -> network.Subnet:
            found = self.cloud.network.subnet(self.caller, subnet_id)
            with self.cloud.faults.around("network", "get_subnet", found.name):
                return network.Subnet(found.id, found.network_id, str(found.cidr))

        return _unless_gone(show)

    def _find_security_groups(self, instance_id: str) -> list[network.SecurityGroup]:
        name = names.network(instance_id)
        found = [group for group in self._own_groups() if group.name == name]
        owned = [self._group(each) for each in _oldest_first(found)]
        return [each for each in owned if each.owner == instance_id]

    def _page_of_security_groups(
        self, after: str | None, limit: int
    ) -> list[network.SecurityGroup]:
        return [self._group(each) for each in _slice(self._own_groups(), after, limit)]

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
        except Refusal as refusal:
            if refusal.status != Conflict.status or "quota" in refusal.message.lower():
                raise

    def _delete_rule(self, rule_id: str) -> None:
        groups = self.cloud.network.security_groups
        _unless_gone(lambda: groups.delete_rule(self.caller, rule_id))

    def _delete_security_group(self, group_id: str) -> None:
        groups = self.cloud.network.security_groups
        _unless_gone(lambda: groups.delete(self.caller, group_id))

    def _find_ports(self, instance_id: str) -> list[network.Port]:
        name = names.network(instance_id)
        found = [port for port in self._own_ports() if port.name == name]
        owned = [self._port(each) for each in _oldest_first(found)]
        return [each for each in owned if each.owner == instance_id]

    def _page_of_ports(self, after: str | None, limit: int) -> list[network.Port]:
        return [self._port(each) for each in _slice(self._own_ports(), after, limit)]

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
        _unless_gone(lambda: self.cloud.network.delete_port(self.caller, port_id))

    def _find_external_network(self) -> str | None:
        with self.cloud.faults.around("network", "list_networks", ""):
            networks = self.cloud.network.networks.values()
            return min((each.id for each in networks if each.external), default=None)

    def _find_floating_addresses(self, instance_id: str) -> list[network.FloatingAddress]:
        owned = [self._floating(each) for each in _oldest_first(self._own_floating())]
        return [each for each in owned if each.owner == instance_id]

    def _page_of_floating_addresses(
        self, after: str | None, limit: int
    ) -> list[network.FloatingAddress]:
        return [self._floating(each) for each in _slice(self._own_floating(), after, limit)]

    def _own_floating(self) -> list[FloatingAddress]:
        found = self.cloud.network.list_floating(self.caller)
        return [each for each in found if each.project_id == self.caller.project_id]

    def _create_floating_address(
        self, description: str, *, network_id: str, port_id: str
    ) -> network.FloatingAddress:
        neutron = self.cloud.network
        made = neutron.create_floating(self.caller, network_id, port_id, description)
        return self._floating(made)

    def _delete_floating_address(self, address_id: str) -> None:
        _unless_gone(lambda: self.cloud.network.delete_floating(self.caller, address_id))

    # ---------------------------------------------------------------------------- image

    def _newest_with_tags(self, tags: list[str]) -> str | None:
        if not tags:
            return None
        listed = self.cloud.image.list(self.caller)
        found = [i for i in listed if i.status == "active" and set(tags) <= set(i.tags)]
        trusted = settings().image_project_id
        owned = [image for image in found if image.owner == (trusted or self.caller.project_id)]
        if not owned and not trusted:
            owned = [image for image in found if image.visibility == "public"]
        newest = max(owned, key=lambda image: (int(image.created_at), image.id), default=None)
        return newest.id if newest else None

    # ---------------------------------------------------------------------------- views

    def _marked(self, project_id: str, metadata: Mapping[str, str]) -> str | None:
        own = project_id == self.caller.project_id
        return names.marked_in_metadata(metadata) if own else None

    def _described(self, project_id: str, description: str) -> str | None:
        own = project_id == self.caller.project_id
        return names.marked_in_description(description) if own else None

    def _server(self, one: Server) -> servers.Server:
        return servers.Server(
            id=one.id,
            name=one.name,
            status=one.status,
            deleting=one.task_state in servers.DELETING,
            fault=one.fault.message if one.fault else None,
            owner=self._marked(one.project_id, one.metadata),
            metadata=dict(one.metadata),
            moving=one.task_state is not None,
        )

    def _volume(self, one: Volume) -> volumes.Volume:
        owner = self._marked(one.project_id, one.metadata)
        return volumes.Volume(one.id, one.name, one.status, owner, one.size, dict(one.metadata))

    def _group(self, one: SecurityGroup) -> network.SecurityGroup:
        rules = {
            network.Rule(rule.traffic.port_range_min, rule.traffic.remote_ip_prefix): rule.id
            for rule in one.rules.values()
            if rule.traffic.direction == "ingress"
            and rule.traffic.port_range_min
            and rule.traffic.remote_ip_prefix
        }
        owner = self._described(one.project_id, one.description)
        return network.SecurityGroup(id=one.id, name=one.name, rules=rules, owner=owner)

    def _port(self, one: Port) -> network.Port:
        return network.Port(
            id=one.id,
            name=one.name,
            network_id=one.network_id,
            addresses=tuple(address for _, address in one.fixed_ips),
            owner=self._described(one.project_id, one.description),
        )

    def _floating(self, one: FloatingAddress) -> network.FloatingAddress:
        return network.FloatingAddress(
            id=one.id,
            address=one.address,
            network_id=one.network_id,
            port_id=one.port_id,
            owner=self._described(one.project_id, one.description),
        )


def _unless_gone(call: Callable[[], T]) -> T | None:
    """What the call returns, or None for what is not there."""
    try:
        return call()
    except NotFound:
        return None


def _oldest_first(things: Iterable[Any]) -> list[Any]:
    """As the originals order them: Nova and Neutron tell whole seconds."""
    return sorted(things, key=lambda thing: (int(thing.created_at), thing.id))


def _slice(things: Sequence[Thing], after: str | None, limit: int) -> Sequence[Thing]:
    """The page that follows a thing, as every service cuts it."""
    ids = [thing.id for thing in things]
    if after is not None and after not in ids:
        raise BadRequest(f"marker [{after}] not found")
    begin = ids.index(after) + 1 if after is not None else 0
    return things[begin : begin + limit]
