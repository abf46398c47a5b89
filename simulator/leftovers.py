"""What instances that were deleted days ago have left in the cloud: one thing of each kind.

Flows remove what is their own, so a leftover is rare. With these any two runs show whether the look
for leftovers finds each kind; L2 asks at the end. Each is of an instance of its own, for a volume
waits until its server and port are gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from chalicelib.cloud import names
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import models
from chalicelib.store.subjects import history_ends
from functions.orphans import VOLUME_AGE_SECONDS
from simulator.cloud.model.cloud import PUBLIC_NETWORK
from simulator.cloud.model.floating import FloatingAddress
from simulator.cloud.model.identity import stable_id
from simulator.cloud.model.network import Port
from simulator.cloud.model.security_groups import SecurityGroup
from simulator.cloud.model.server import ACTIVE, Server
from simulator.cloud.model.server_groups import ServerGroup
from simulator.cloud.model.volume import Volume
from simulator.inputs import DATASTORE
from simulator.versions import FIRST
from simulator.world import World

DAY_SECONDS: Final = 86400.0
GONE_SECONDS: Final = VOLUME_AGE_SECONDS + DAY_SECONDS
OWNER: Final = "tenant-of-long-ago"
ADDRESS: Final = "203.0.113.77"


class Leftovers:
    """Makes them; their ids are the same in each run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._project = world.cloud_functions.caller.project_id
        self._user = world.cloud_functions.caller.user_id
        self._at = world.kernel.now - GONE_SECONDS

    def leave(self) -> None:
        """Put three of the six kinds into the cloud, by the seed, and the rows of their instances.

        More than ten leftovers in so small a fleet are implausible, and the run may add its own.
        """
        kinds: tuple[tuple[str, Callable[[str, str], None]], ...] = (
            ("server", self._server),
            ("floating address", self._address),
            ("port", self._port),
            ("security group", self._security_group),
            ("server group", self._server_group),
            ("volume", self._volume),
        )
        for kind, make in kinds[self._world.plan.seed % 2 :: 2]:
            instance_id = stable_id("leftover-instance", kind)
            self._row(instance_id)
            make(instance_id, stable_id("leftover", kind))

    def _row(self, instance_id: str) -> None:
        flavor = self._world.cloud.compute.flavors.flavors["1"]
        models.Instance(
            id=instance_id,
            tenant_id=OWNER,
            name="of-long-ago",
            status=Status.DELETED,
            created=self._at,
            updated=self._at,
            deleted_at=self._at,
            expires=history_ends(self._at),
            **FIRST[DATASTORE].columns,
            flavor_id=flavor.id,
            flavor_ram=flavor.ram,
            flavor_vcpus=flavor.vcpus,
            volume_size=1,
            region=settings().os_region_name,
        ).save()

    def _server(self, instance_id: str, server_id: str) -> None:
        self._world.cloud.compute.servers[server_id] = Server(
            id=server_id,
            name=names.server(instance_id, 1, ""),
            project_id=self._project,
            user_id=self._user,
            flavor=self._world.cloud.compute.flavors.flavors["1"],
            image_id=self._world.image_id,
            metadata=names.metadata(instance_id, 1),
            created_at=self._at,
            updated_at=self._at,
            vm_state=ACTIVE,
            task_state=None,
            launched_at=self._at,
        )

    def _address(self, instance_id: str, address_id: str) -> None:
        """Its port went before it: it leads nowhere."""
        self._world.cloud.network.floating.rows[address_id] = FloatingAddress(
            id=address_id,
            network_id=stable_id("network", PUBLIC_NETWORK),
            project_id=self._project,
            address=ADDRESS,
            port_id=None,
            created_at=self._at,
            updated_at=self._at,
            description=names.description(instance_id),
        )

    def _port(self, instance_id: str, port_id: str) -> None:
        network = self._world.cloud.network
        inside = network.networks[self._world.network_id]
        network.ports[port_id] = Port(
            id=port_id,
            name=names.network(instance_id),
            network_id=inside.id,
            project_id=self._project,
            mac_address=f"fa:16:3e:{port_id[:2]}:{port_id[2:4]}:{port_id[4:6]}",
            fixed_ips=network.allocate(inside, port_id, None),
            security_group_ids=[],
            created_at=self._at,
            updated_at=self._at,
            description=names.description(instance_id),
        )

    def _security_group(self, instance_id: str, group_id: str) -> None:
        self._world.cloud.network.security_groups.groups[group_id] = SecurityGroup(
            group_id,
            names.network(instance_id),
            self._project,
            self._at,
            self._at,
            names.description(instance_id),
        )

    def _server_group(self, instance_id: str, group_id: str) -> None:
        name = names.description(instance_id)  # all that a group has for a mark
        self._world.cloud.compute.groups.groups[group_id] = ServerGroup(
            group_id, name, self._project, self._user, "affinity"
        )

    def _volume(self, instance_id: str, volume_id: str) -> None:
        self._world.cloud.volume.volumes[volume_id] = Volume(
            id=volume_id,
            name=names.volume(instance_id),
            project_id=self._project,
            user_id=self._user,
            size=1,
            volume_type="standard",
            created_at=self._at,
            updated_at=self._at,
            status="available",
            metadata=names.metadata(instance_id, 1),
        )
