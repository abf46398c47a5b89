"""Nova's API on servers: what it accepts, refuses and starts; `lifecycle` does what follows."""

from __future__ import annotations

import base64
import binascii
import re

from simulator.cloud.model import devices
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.errors import BadRequest, Conflict, Forbidden, NotFound, QuotaExceeded
from simulator.cloud.model.faults import Fault, Faults
from simulator.cloud.model.flavors import Flavor, Flavors
from simulator.cloud.model.image import ImageService
from simulator.cloud.model.lifecycle import DEVICE_OWNER, ServerLifecycle
from simulator.cloud.model.network import NetworkService, Port
from simulator.cloud.model.quota import Quotas
from simulator.cloud.model.seams import Clock, GuestSpec, Ids
from simulator.cloud.model.server import (
    ACTIVE,
    ERROR,
    SOFT_DELETED,
    STOPPED,
    NetworkWish,
    Server,
    ServerAction,
    ServerVolume,
    ServerWish,
)
from simulator.cloud.model.server_groups import ServerGroups
from simulator.cloud.model.settings import HOSTS, ZONE
from simulator.cloud.model.volume import VolumeService

SEEN_AGAIN_SECONDS = 60.0

USER_DATA_LIMIT_BYTES = 65535


class ComputeService:
    """Servers by id, and the flavors that they come in."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        faults: Faults,
        quotas: Quotas,
        servers: dict[str, Server],
        lifecycle: ServerLifecycle,
        network: NetworkService,
        volume: VolumeService,
        image: ImageService,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._faults = faults
        self._lifecycle = lifecycle
        self._network = network
        self._volume = volume
        self._image = image
        self.quotas = quotas
        self.servers = servers
        self.flavors = Flavors()
        self.groups = ServerGroups(ids, faults, quotas, servers)
        self.zones: tuple[str, ...] = (ZONE,)

    def create(self, caller: Caller, wish: ServerWish) -> Server:
        """Accept a server: checked, its ports and volumes reserved, in BUILD."""
        caller.require_write("os_compute_api:servers:create")
        with self._faults.around("compute", "create_server", wish.name) as fault:
            zone, forced, _ = (wish.availability_zone or self.zones[0]).partition(":")  # :host:node
            if forced:
                caller.require_admin("os_compute_api:servers:create:forced_host")
            if zone not in self.zones:
                raise BadRequest("The requested availability zone is not available")
            flavor = self._flavor(wish.flavor_id)
            image_id = self._image_id(caller, wish.image_id)
            bus = devices.bus_of(self._image.get(caller, image_id).properties)
            check_user_data(wish.user_data)
            self._check_quota(caller.project_id, flavor, len(wish.metadata))
            host: str | None = HOSTS[0]
            if wish.group_id is not None:
                host = self.groups.host(caller, wish.group_id)
            if host is None:
                fault = Fault("group", "compute", "create_server", "error")
            now = self._clock()
            server = Server(
                id=self._ids.uuid(),
                name=wish.name,
                project_id=caller.project_id,
                user_id=caller.user_id,
                flavor=flavor,
                image_id=image_id,
                created_at=now,
                updated_at=now,
                metadata=dict(wish.metadata),
                user_data=wish.user_data,
                tags=list(wish.tags),
                description=wish.description,
                key_name=wish.key_name,
                availability_zone=zone,
                config_drive=wish.config_drive,
                disk_bus=bus,
                host=host or HOSTS[0],
                group_id=wish.group_id,
            )
            self._plug(caller, server, wish)
            self.servers[server.id] = server
            self._note(caller, server, "create")
            self._lifecycle.build(server, fault)
            return server

    def list_zones(self) -> tuple[str, ...]:
        """The zones that take servers."""
        with self._faults.around("compute", "list_zones", ""):
            return self.zones

    def get(self, caller: Caller, server_id: str) -> Server:
        """A server that the caller may see, or NotFound."""
        server = self.servers.get(server_id)
        if server is None or not caller.may_see(server.project_id):
            raise NotFound(f"Instance {server_id} could not be found.")
        return server

    def show(self, caller: Caller, server_id: str) -> Server:
        """As `get`, as a call of its own (a fault may hit it)."""
        server = self.get(caller, server_id)
        with self._faults.around("compute", "get_server", server.name) as fault:
            if fault and fault.mode == "vanish":
                self._lifecycle.vanish(server)
                return self.get(caller, server_id)
            return server

    def list(self, caller: Caller, *, all_tenants: bool = False) -> list[Server]:
        """The project's servers, newest first; every project's for an admin who asks for it."""
        if all_tenants:
            caller.require_admin("os_compute_api:servers:detail:get_all_tenants")
        with self._faults.around("compute", "list_servers", "") as fault:
            shown = [s for s in self.servers.values() if s.vm_state != SOFT_DELETED]
            if fault and fault.mode == "seen_again":
                seconds = SEEN_AGAIN_SECONDS if fault.seconds is None else fault.seconds
                shown += self._lifecycle.gone_since(self._clock() - seconds)
            newest_first = reversed(shown)
            return [s for s in newest_first if all_tenants or s.project_id == caller.project_id]

    def update(self, caller: Caller, server_id: str, changes: dict[str, object]) -> Server:
        """Change name or description."""
        server = self.get(caller, server_id)
        with self._faults.around("compute", "update_server", server.name):
            server.name = str(changes.get("name", server.name))
            if "description" in changes:
                server.description = str(changes["description"] or "") or None
            server.updated_at = self._clock()
            return server

    def set_metadata(
        self, caller: Caller, server_id: str, metadata: dict[str, str], *, replace: bool
    ) -> dict[str, str]:
        """Merge metadata into a server's, or put it in place of it."""
        server = self.get(caller, server_id)
        with self._faults.around("compute", "set_server_metadata", server.name):
            server.metadata = dict(metadata) if replace else {**server.metadata, **metadata}
            server.updated_at = self._clock()
            return server.metadata

    def delete_metadata(self, caller: Caller, server_id: str, key: str) -> None:
        """Remove one metadata item."""
        server = self.get(caller, server_id)
        if key not in server.metadata:
            raise NotFound("Metadata item was not found")
        del server.metadata[key]

    def delete(self, caller: Caller, server_id: str, *, force: bool = False) -> None:
        """Accept the deletion of a server in any state; asking again is accepted as well.

        A Nova that keeps deleted servers for a while does so with those that were ever on, and
        shows them in no list, unless the deletion is a forced one: that is a member's too.
        """
        server = self.get(caller, server_id)
        rule = "os-deferred-delete:force" if force else "servers:delete"
        caller.require_write(f"os_compute_api:{rule}")
        with self._faults.around("compute", "delete_server", server.name) as fault:
            if fault and fault.mode == "vanish":
                self._lifecycle.vanish(server)
            elif force or server.launched_at is None or not self._lifecycle.reclaim_seconds:
                self._lifecycle.delete(server, fault)
            else:
                self._lifecycle.soft_delete(server)

    def reboot(self, caller: Caller, server_id: str, kind: str) -> None:
        """Accept a SOFT reboot of an ACTIVE server, or a HARD one of any that was built."""
        server = self.get(caller, server_id)
        if kind not in ("SOFT", "HARD"):
            raise BadRequest(f"Invalid input for field/attribute type. Value: {kind}.")
        with self._faults.around("compute", "reboot_server", server.name) as fault:
            hard = kind == "HARD"
            self._check_state(server, "reboot", (ACTIVE, STOPPED, ERROR) if hard else (ACTIVE,))
            self._note(caller, server, "reboot")
            self._lifecycle.reboot(server, hard, fault)

    def rebuild(
        self,
        caller: Caller,
        server_id: str,
        image_id: str,
        *,
        name: str | None = None,
        metadata: dict[str, str] | None = None,
        user_data: str | None = None,
        keep_user_data: bool = True,
    ) -> Server:
        """Accept a rebuild; what is not given stays as it is."""
        server = self.get(caller, server_id)
        with self._faults.around("compute", "rebuild_server", server.name) as fault:
            self._check_state(server, "rebuild", (ACTIVE, STOPPED, ERROR))
            image_id = self._image_id(caller, image_id)
            if not keep_user_data:
                check_user_data(user_data)
                server.user_data = user_data
            server.image_id = image_id
            self._note(caller, server, "rebuild")
            server.name = name or server.name
            server.metadata = dict(metadata) if metadata is not None else server.metadata
            self._lifecycle.rebuild(server, fault)
            return server

    def evacuate(self, server_id: str) -> None:
        """Make the server anew elsewhere, with a new root disk: its host was lost, and an
        administrator has said so."""
        server = self.servers[server_id]
        self._check_state(server, "evacuate", (ACTIVE, STOPPED, ERROR))
        self._note(Caller("operator", server.project_id, frozenset()), server, "evacuate")
        self._lifecycle.rebuild(server, None)

    def actions(self, caller: Caller, server_id: str) -> tuple[ServerAction, ...]:
        """What was done to a server, newest first."""
        server = self.get(caller, server_id)
        with self._faults.around("compute", "list_server_actions", server.name):
            return tuple(reversed(server.actions))

    def action(self, caller: Caller, server_id: str, request_id: str) -> ServerAction:
        """One of them, or NotFound."""
        server = self.get(caller, server_id)
        with self._faults.around("compute", "get_server_action", server.name):
            for each in server.actions:
                if each.request_id == request_id:
                    return each
            raise NotFound(f"Action for request_id {request_id} on instance not found")

    def stop(self, caller: Caller, server_id: str) -> None:
        """Accept a power-off."""
        server = self.get(caller, server_id)
        with self._faults.around("compute", "stop_server", server.name):
            self._check_state(server, "stop", (ACTIVE, ERROR))
            self._note(caller, server, "stop")
            self._lifecycle.stop(server)

    def start(self, caller: Caller, server_id: str) -> None:
        """Accept a power-on."""
        server = self.get(caller, server_id)
        with self._faults.around("compute", "start_server", server.name):
            self._check_state(server, "start", (STOPPED,))
            self._note(caller, server, "start")
            self._lifecycle.start(server)

    def crash(self, caller: Caller, server_id: str) -> None:
        """Kill the machine under a server (a fault, not a call of Nova's)."""
        self._lifecycle.crash(self.get(caller, server_id))

    def reset_state(self, caller: Caller, server_id: str, state: str) -> None:
        """Set ACTIVE or ERROR by hand, as an admin does it."""
        caller.require_admin("os_compute_api:os-admin-actions:reset_state")
        if state not in (ACTIVE, ERROR):
            raise BadRequest(f"Invalid input for field/attribute state. Value: {state}.")
        server = self.get(caller, server_id)
        server.run += 1
        server.vm_state, server.task_state = state, None
        server.updated_at = self._clock()

    def attach_volume(
        self, caller: Caller, server_id: str, volume_id: str, device: str | None
    ) -> ServerVolume:
        """Accept the attachment of an available volume."""
        server = self.get(caller, server_id)
        with self._faults.around("compute", "attach_volume", server.name):
            self._check_state(server, "attach_volume", (ACTIVE, STOPPED))
            self._volume.reserve(caller, volume_id)
            attached = ServerVolume(volume_id, device or self._next_device(server))
            self._lifecycle.attach_volume(server, attached)
            return attached

    def detach_volume(self, caller: Caller, server_id: str, volume_id: str) -> None:
        """Accept the detachment of a volume."""
        server = self.get(caller, server_id)
        with self._faults.around("compute", "detach_volume", server.name):
            self._check_state(server, "detach_volume", (ACTIVE, STOPPED))
            attached = attached_volume(server, volume_id)
            self._volume.require_in_use(volume_id)
            self._lifecycle.detach_volume(server, attached)

    def spec_at(self, address: str) -> GuestSpec | None:
        """What a server is told of itself, found by the address of one of its ports."""
        for port in self._network.ports.values():
            if any(address == own for _, own in port.fixed_ips) and port.device_id in self.servers:
                return self._lifecycle.spec(self.servers[port.device_id])
        return None

    def used(self, project_id: str) -> dict[str, int]:
        """Instances, cores and ram (MiB) that count against the project's quota."""
        mine = (s for s in self.servers.values() if s.project_id == project_id)
        flavors = [s.flavor for s in mine if s.vm_state != SOFT_DELETED]
        return {
            "instances": len(flavors),
            "cores": sum(flavor.vcpus for flavor in flavors),
            "ram": sum(flavor.ram for flavor in flavors),
        }

    def _note(self, caller: Caller, server: Server, action: str) -> None:
        request_id = f"req-{server.id}-{len(server.actions)}"
        server.actions.append(
            ServerAction(action, self._clock(), request_id, caller.user_id, caller.project_id)
        )

    def _plug(self, caller: Caller, server: Server, wish: ServerWish) -> None:
        """Bind ports and reserve volumes; all or nothing."""
        ports = [self._free_port(caller, net.port_id) for net in _networks(wish) if net.port_id]
        reserved: list[str] = []
        made: list[Port] = []
        try:
            for volume in wish.volumes:
                self._volume.reserve(caller, volume.volume_id)
                reserved.append(volume.volume_id)
                device = volume.device or self._next_device(server)
                server.volumes.append(
                    ServerVolume(volume.volume_id, device, volume.delete_on_termination)
                )
            for net in self._wanted_networks(caller, wish):
                port = self._make_port(caller, net, wish.security_groups)
                made.append(port)
        except Exception:
            for volume_id in reserved:
                self._volume.release(volume_id)
            for port in made:
                self._network.remove_port(port.id)
            raise
        for port in (*ports, *made):
            self._network.bind_port(port, server.id, DEVICE_OWNER, "DOWN")
            server.port_ids.append(port.id)
        server.own_port_ids |= {port.id for port in made}

    def _free_port(self, caller: Caller, port_id: str) -> Port:
        port = self._network.ports.get(port_id)
        if port is None or not caller.may_see(port.project_id):
            raise BadRequest(f"Port id {port_id} could not be found.")
        if port.device_id:
            raise Conflict(f"Port {port_id} is still in use.")
        return port

    def _wanted_networks(self, caller: Caller, wish: ServerWish) -> tuple[NetworkWish, ...]:
        """The networks on which Nova makes ports itself."""
        if wish.networks is not None:
            return tuple(net for net in wish.networks if net.port_id is None)
        usable = [
            network
            for network in self._network.networks.values()
            if not network.external and self._network.may_use(caller, network)
        ]
        if len(usable) > 1:
            raise Conflict(
                "Multiple possible networks found, use a Network ID to be more specific."
            )
        return tuple(NetworkWish(network_id=network.id) for network in usable)

    def _make_port(self, caller: Caller, net: NetworkWish, groups: tuple[str, ...]) -> Port:
        network_id = net.network_id or ""
        if network_id not in self._network.networks:
            raise BadRequest(f"Network {network_id} could not be found.")
        return self._network.create_port(
            caller,
            network_id,
            wanted=[(None, net.address)] if net.address else None,
            security_group_ids=[self._group_id(caller, name) for name in groups] or None,
        )

    def _group_id(self, caller: Caller, name_or_id: str) -> str:
        for group in self._network.security_groups.list(caller):
            mine = group.project_id == caller.project_id
            if name_or_id == group.id or (mine and name_or_id == group.name):
                return group.id
        raise BadRequest(f"Security group {name_or_id} not found for project {caller.project_id}.")

    def _flavor(self, flavor_id: str) -> Flavor:
        try:
            return self.flavors.get(flavor_id)
        except NotFound as error:
            raise BadRequest(f"Flavor {flavor_id} could not be found.") from error

    def _image_id(self, caller: Caller, image_id: str) -> str:
        if not image_id:
            raise BadRequest(
                "Block Device Mapping is Invalid: this cloud boots from an image, not a volume."
            )
        try:
            return self._image.get(caller, image_id).id
        except NotFound as error:
            raise BadRequest(f"Image {image_id} could not be found.") from error

    def _check_quota(self, project_id: str, flavor: Flavor, metadata_items: int) -> None:
        self._check_room(project_id, {"instances": 1, "cores": flavor.vcpus, "ram": flavor.ram})
        limit = self.quotas.limits(project_id)["metadata_items"]
        if 0 <= limit < metadata_items:
            raise Forbidden(f"Maximum number of metadata items exceeds {limit}")

    def _check_room(self, project_id: str, wanted: dict[str, int]) -> None:
        used = self.used(project_id)
        resource = self.quotas.exceeded(project_id, used, wanted)
        if resource is not None:
            limit = self.quotas.limits(project_id)[resource]
            raise QuotaExceeded(
                f"Quota exceeded for {resource}: Requested {wanted[resource]}, but already used "
                f"{used[resource]} of {limit} {resource}"
            )

    @staticmethod
    def _next_device(server: Server) -> str:
        taken = [volume.device for volume in server.volumes]
        return devices.next_device(server.flavor, server.disk_bus, taken)

    @staticmethod
    def _check_state(server: Server, action: str, states: tuple[str, ...]) -> None:
        if server.vm_state not in states:
            raise Conflict(
                f"Cannot '{action}' instance {server.id} while it is in vm_state {server.vm_state}"
            )
        if server.task_state is not None and not (action == "reboot" and ERROR in states):
            raise Conflict(
                f"Cannot '{action}' instance {server.id} while it is in task_state "
                f"{server.task_state}"
            )


def attached_volume(server: Server, volume_id: str) -> ServerVolume:
    """The server's volume of that id, or NotFound."""
    for volume in server.volumes:
        if volume.volume_id == volume_id:
            return volume
    raise NotFound(f"volume_id not found: {volume_id}")


def check_user_data(user_data: str | None) -> None:
    """Raise BadRequest unless it is base64 of at most 65535 characters, as Nova takes it."""
    if user_data is None:
        return
    if len(user_data) > USER_DATA_LIMIT_BYTES:
        raise BadRequest("Invalid input for field/attribute user_data. Value is too long.")
    try:
        base64.b64decode(re.sub(r"\s", "", user_data), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(
            "Invalid input for field/attribute user_data. The value is not a 'base64'."
        ) from error


def _networks(wish: ServerWish) -> tuple[NetworkWish, ...]:
    return wish.networks or ()
