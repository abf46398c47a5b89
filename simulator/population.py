"""A fleet that is there from the begin: rows, cloud and guests of instances made long ago.

The first instance is written by the store's own models; the others are its items with other ids,
so that a hundred thousand of them take seconds.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from chalicelib import engines
from chalicelib.bus import keys, queues
from chalicelib.bus.envelope import Direction
from chalicelib.cloud import names
from chalicelib.conductor import enrolment
from chalicelib.domain import user_data
from chalicelib.domain.instances import EVERYWHERE
from chalicelib.domain.quotas import held_by_instance
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.settings import settings
from chalicelib.store import models
from guest_agent import enrolment as guest_enrolment
from simulator.cloud.model.network import Port
from simulator.cloud.model.seams import GuestSpec, GuestVolume, Interface
from simulator.cloud.model.security_groups import SecurityGroup, Traffic
from simulator.cloud.model.server import ACTIVE, Server, ServerVolume
from simulator.cloud.model.volume import Attachment, Volume
from simulator.fleet.older import told, version_told
from simulator.inputs import DATASTORE, DATASTORES
from simulator.template import PREFIX
from simulator.versions import FIRST
from simulator.world import World

CREATED_SECONDS_AGO: Final = 86400.0
CREDENTIALS_SECONDS: Final = 3600.0
FLAVOR: Final = "1"
DEVICE: Final = "/dev/vdb"
MOST_OWN_TOKENS: Final = 1000
"""Guests of a larger fleet share one enrolment token, of nobody: it takes a kilobyte each."""
OPEN: Final = {
    name: tuple(
        Traffic("ingress", "IPv4", "tcp", port, port, EVERYWHERE)
        for port in engines.tcp_ports(name)
    )
    for name in DATASTORES
}
"""What an instance without a wish of its own has for rules, by datastore; all share them."""
_NAMES: Final = ("instances", "service-statuses", "guests")


class Settled(NamedTuple):
    """An instance that is there from the begin."""

    instance_id: str
    tenant_id: str
    datastore: str


class Population:
    """Makes the instances of a run's begin."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._ids = world.kernel.stream("population")
        self._mixed = world.plan.datastores or {DATASTORE: 1.0}
        self._mixing = world.kernel.stream("datastores")
        self._now = world.kernel.now
        self._templates: dict[str, dict[str, Any]] = {}
        self._versions = {name: FIRST[name].columns for name in self._mixed}
        self._made: list[Settled] = []
        cloud = world.cloud
        self._subnet = next(
            each for each in cloud.network.subnets.values() if each.network_id == world.network_id
        )
        self._network = cloud.network.networks[world.network_id]
        self._caller = world.cloud_functions.caller
        self._flavor = cloud.compute.flavors.flavors[FLAVOR]
        self._image_id = world.image_id
        self._token: str | None = None

    def make(self, count: int, per_tenant: int) -> list[Settled]:
        """Make so many; a tenant has so many of them."""
        if count > MOST_OWN_TOKENS:
            self._token = enrolment.new_token("nobody", 1, self._now)
        for number in range(count):
            self._made.append(self._one(f"tenant-{number // per_tenant}"))
        self._write_quotas()
        return self._made

    def _one(self, tenant_id: str) -> Settled:
        instance_id, server_id, volume_id = self._uuid(), self._uuid(), self._uuid()
        datastore = self._datastore()
        name = names.network(instance_id)  # as names.volume has it: kept once
        assert name == names.volume(instance_id)
        description = names.description(instance_id)
        metadata = names.metadata(instance_id, 1)
        group_id = self._make_group(name, description, datastore)
        port = self._make_port(name, description, group_id, server_id)
        self._make_volume(name, metadata, volume_id, server_id)
        token = self._token or enrolment.new_token(instance_id, 1, self._now)
        data = _user_data(instance_id, token, datastore)
        self._make_server(instance_id, metadata, server_id, volume_id, port.id)
        if self._token is None:
            kept = base64.b64encode(data).decode()
            self.world.cloud.compute.servers[server_id].user_data = kept
        queue_url = queues.make_guest_queue(instance_id, 1)
        key = self._settle(instance_id, server_id, volume_id, port, queue_url, data)
        if not self._templates:
            self._write_first()
        resources = {
            "volume_id": volume_id,
            "security_group_id": group_id,
            "port_id": port.id,
            "queue_url": queue_url,
            "server_id": server_id,
        }
        address = port.fixed_ips[0][1]
        addresses = [{"address": address, "type": "private", "network": port.network_id}]
        self._write(
            "instances",
            instance_id,
            **self._versions[datastore],
            id=instance_id,
            tenant_id=tenant_id,
            index_tenant=tenant_id,
            name=f"db-{len(self._made)}",
            resources=msgspec.json.encode(resources).decode(),
            addresses=msgspec.json.encode(addresses).decode(),
        )
        disk = self.world.fleet.guests[server_id].disk
        self._write(
            "service-statuses",
            instance_id,
            instance_id=instance_id,
            agent_release=told(disk.release),
            agent_version=version_told(disk.release, disk.agent),
        )
        self._write(
            "guests", (instance_id, 1), instance_id=instance_id, public_key=key, server_id=server_id
        )
        return Settled(instance_id, tenant_id, datastore)

    def _datastore(self) -> str:
        if len(self._mixed) == 1:
            return next(iter(self._mixed))
        return self._mixing.choices(list(self._mixed), list(self._mixed.values()))[0]

    def _uuid(self) -> str:
        text = f"{self._ids.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    # ---------------------------------------------------------------------------- rows

    def _write_first(self) -> None:
        """One row of each table by the models; what the tables hold of it is the template."""
        before = self._now - CREATED_SECONDS_AGO
        flavor = self._flavor
        held = held_by_instance(flavor.ram, 1)
        models.Instance(
            id="template",
            tenant_id="template",
            name="template",
            status=Status.ACTIVE,
            created=before,
            updated=before,
            **FIRST[DATASTORE].columns,
            flavor_id=flavor.id,
            flavor_ram=flavor.ram,
            flavor_vcpus=flavor.vcpus,
            volume_size=1,
            region=settings().os_region_name,
            access={"is_public": False, "allowed_cidrs": []},
            held=held,
        ).save()
        models.ServiceStatusRow(
            instance_id="template",
            generation=1,
            epoch=1,
            seq=0,
            status=ServiceStatus.HEALTHY,
            updated=self._now,
            volume_used=0.2,
            volume_total=1.0,
        ).save()
        models.Guest("template", 1, public_key="", server_id="x", epoch=1, enrolled=before).save()
        for name, key in zip(_NAMES, ("template", "template", ("template", 1)), strict=True):
            table = self.world.region.dynamodb.tables[f"{PREFIX}-{name}"]
            item = table.items[key]
            self._templates[name] = dict(item)
            table.write(key, item, None, self._now)

    def _write(self, table: str, key: Any, **changes: Any) -> None:
        item = {**self._templates[table], **changes}
        self.world.region.dynamodb.tables[f"{PREFIX}-{table}"].write(key, None, item, self._now)

    def _write_quotas(self) -> None:
        counts: dict[str, int] = {}
        for each in self._made:
            counts[each.tenant_id] = counts.get(each.tenant_id, 0) + 1
        held = held_by_instance(self._flavor.ram, 1)
        for tenant_id, count in counts.items():
            used = {name: amount * count for name, amount in held.items()}
            quota = models.Quota(tenant_id)
            for name, amount in used.items():
                setattr(quota, name, amount)
            quota.save()

    # --------------------------------------------------------------------------- cloud

    def _make_group(self, name: str, description: str, datastore: str) -> str:
        group = SecurityGroup(
            self._uuid(),
            name,
            self._caller.project_id,
            self._now,
            self._now,
            description,
        )
        groups = self.world.cloud.network.security_groups
        groups.groups[group.id] = group
        for traffic in OPEN[datastore]:
            groups._add_rule(group, traffic)
        return group.id

    def _make_port(self, name: str, description: str, group_id: str, server_id: str) -> Port:
        network = self.world.cloud.network
        port_id = self._uuid()
        port = Port(
            id=port_id,
            name=name,
            network_id=self._network.id,
            project_id=self._caller.project_id,
            mac_address=f"fa:16:3e:{port_id[:2]}:{port_id[2:4]}:{port_id[4:6]}",
            fixed_ips=network.allocate(self._network, port_id, None),
            security_group_ids=[group_id],
            created_at=self._now,
            updated_at=self._now,
            description=description,
            device_id=server_id,
            device_owner="compute:nova",
            status="ACTIVE",
        )
        network.ports[port_id] = port
        return port

    def _make_volume(
        self, name: str, metadata: dict[str, str], volume_id: str, server_id: str
    ) -> None:
        volume = Volume(
            id=volume_id,
            name=name,
            project_id=self._caller.project_id,
            user_id=self._caller.user_id,
            size=1,
            volume_type="standard",
            created_at=self._now,
            updated_at=self._now,
            status="in-use",
            metadata=metadata,
            attachments=[Attachment(volume_id, server_id, DEVICE, self._now)],
        )
        self.world.cloud.volume.volumes[volume_id] = volume

    def _make_server(
        self,
        instance_id: str,
        metadata: dict[str, str],
        server_id: str,
        volume_id: str,
        port_id: str,
    ) -> None:
        server = Server(
            id=server_id,
            name=names.server(instance_id, 1, ""),
            project_id=self._caller.project_id,
            user_id=self._caller.user_id,
            flavor=self._flavor,
            image_id=self._image_id,
            metadata=metadata,
            created_at=self._now,
            updated_at=self._now,
            port_ids=[port_id],
            volumes=[ServerVolume(volume_id, DEVICE)],
            vm_state=ACTIVE,
            task_state=None,
            launched_at=self._now,
        )
        self.world.cloud.compute.servers[server_id] = server

    # -------------------------------------------------------------------------- guests

    def _settle(
        self,
        instance_id: str,
        server_id: str,
        volume_id: str,
        port: Port,
        queue_url: str,
        data: bytes,
    ) -> str:
        """Put the guest into the fleet; returns its public key as the row has it."""
        chosen = settings()
        subnet_id, address = port.fixed_ips[0]
        spec = GuestSpec(
            server_id=server_id,
            name=f"{PREFIX}-{instance_id}-1",
            hostname="db",
            project_id=self._caller.project_id,
            metadata={},
            user_data=data,
            interfaces=[
                Interface(
                    port.id,
                    port.mac_address,
                    port.network_id,
                    address,
                    self.world.cloud.network.netmask(subnet_id),
                    self._subnet.gateway,
                )
            ],
            volumes=[GuestVolume(volume_id, DEVICE)],
        )
        session = self._session(instance_id, queue_url)
        guest = self.world.fleet.settle(spec, session, period=float(chosen.heartbeat_seconds))
        # What it read from its disk are texts that others hold already.
        assert guest.agent_file is not None
        guest.agent_file = msgspec.structs.replace(guest.agent_file, instance_id=instance_id)
        if self._token is not None:
            guest.agent_file = msgspec.structs.replace(
                guest.agent_file, enrolment_token=self._token
            )
        return base64.b64encode(guest.public_key).decode()

    def _session(self, instance_id: str, queue_url: str) -> guest_enrolment.Session:
        chosen = settings()
        version = keys.guest_ring().current
        life = CREDENTIALS_SECONDS * (0.1 + 0.9 * self._ids.random())
        until = datetime.fromtimestamp(self._now, UTC) + timedelta(seconds=life)
        access_key = self.world.region.sts.remember(chosen.guest_role_arn, "settled", life)

        def key(direction: Direction, epoch: int = 0) -> str:
            found = keys.guest_key(instance_id, 1, direction, version, epoch)
            return base64.b64encode(found).decode()

        return guest_enrolment.Session(
            instance_id=instance_id,
            generation=1,
            epoch=1,
            key_version=version,
            keys=guest_enrolment.Keys(key(Direction.TO_GUEST), key(Direction.TO_CONTROL, 1)),
            credentials=guest_enrolment.Credentials(
                access_key, "settled", f"token-of-{access_key}", until
            ),
            queues=guest_enrolment.Queues(
                queue_url, chosen.conductor_queue_url, chosen.heartbeats_queue_url
            ),
            heartbeat_seconds=float(chosen.heartbeat_seconds),
        )


def _user_data(instance_id: str, token: str, datastore: str) -> bytes:
    chosen = settings()
    configuration = user_data.GuestConfiguration(
        instance_id=instance_id,
        generation=1,
        control_url=chosen.control_url,
        enrolment_token=token,
        datastore_manager=datastore,
        datastore_version=FIRST[datastore].name,
        region=chosen.region,
        aws_endpoint_url=None,
    )
    return user_data.for_guest(configuration).encode()
