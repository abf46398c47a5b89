"""What the tests of the contract do again and again: one instance's things, and what is refused."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.cloud import errors, names, network, servers, snapshots, volumes
from tests.cloud.contract.people import Person, until


class Asked:
    """One instance's things in the cloud, made by the functions that a deployment uses."""

    def __init__(self, admin: Any, service: Person, tenant: Person) -> None:
        self.admin = admin
        self.service = service
        self.tenant = tenant
        self.instance_id = str(uuid.uuid4())
        self.marks = (names.network(self.instance_id), names.description(self.instance_id))
        self._clean: list[Callable[[], object]] = []

    def later(self, removal: Callable[[], object]) -> None:
        """Have something removed after the test, the newest first."""
        self._clean.append(removal)

    def clean(self) -> None:
        """Remove what the test made."""
        for server in servers.find(self.instance_id):
            servers.delete(server.id)
        until(lambda: not servers.find(self.instance_id), "the servers are gone")
        for port in network.find_ports(self.instance_id):
            network.delete_port(port.id)
        for group in network.find_security_groups(self.instance_id):
            network.delete_security_group(group.id)
        until(self._without_volumes, "the volumes are gone")
        while self._clean:
            self._clean.pop()()

    def _without_volumes(self) -> bool:
        found = volumes.find(self.instance_id, kept=True)
        for each in found:
            for snapshot in snapshots.of_volume(each.id):
                if snapshot.status in snapshots.DELETABLE:
                    snapshots.delete(snapshot.id)
        for each in [each for each in found if not snapshots.of_volume(each.id)]:
            if each.status in volumes.DELETABLE:
                volumes.delete(each.id)
        return not found

    def network_of(self, person: Person, *cidrs: str) -> Any:
        """A network with a subnet for each range; it is the person's own."""
        api = person.api.network
        made = api.create_network(name=f"contract-{self.instance_id}")
        self.later(lambda: api.delete_network(made.id))
        for cidr in cidrs:
            version = 6 if ":" in cidr else 4
            api.create_subnet(network_id=made.id, cidr=cidr, ip_version=version, enable_dhcp=False)
        return made

    def group(self) -> network.SecurityGroup:
        """A security group of the instance."""
        return network.create_security_group(*self.marks)

    def port(
        self,
        network_id: str,
        group_id: str,
        *,
        subnet_id: str | None = None,
        ip_address: str | None = None,
    ) -> network.Port:
        """A port of the instance."""
        return network.create_port(
            *self.marks,
            network_id=network_id,
            security_group_id=group_id,
            subnet_id=subnet_id,
            ip_address=ip_address,
        )

    def volume(
        self, size_gib: int = 1, zone: str | None = None, snapshot_id: str | None = None
    ) -> volumes.Volume:
        """A volume of the instance that is available."""
        made = volumes.create(
            names.volume(self.instance_id),
            size_gib=size_gib,
            volume_type=None,
            availability_zone=zone,
            metadata=names.metadata(self.instance_id, 1),
            snapshot_id=snapshot_id,
        )
        until(lambda: self.status_of(made.id) == "available", "the volume is available")
        return made

    @staticmethod
    def status_of(volume_id: str) -> str | None:
        """Cinder's status of a volume, None for one that is gone."""
        found = volumes.get(volume_id)
        return found.status if found else None

    def ask_for_server(self, port_id: str, volume_id: str, zone: str | None = None) -> str:
        """A server of the instance, as Nova accepts it; answers its id."""
        return servers.create(
            names.server(self.instance_id, 1, "Shop, the first"),
            image_id=self.image_id,
            flavor_id=self.flavor_id,
            port_id=port_id,
            volume_id=volume_id,
            user_data="#cloud-config\n{}",
            availability_zone=zone,
            group_id=None,
            metadata=names.metadata(self.instance_id, 1),
        )

    def server(self, volume_gib: int = 1) -> servers.Server:
        """A server of the instance that is ACTIVE, with its port and volume."""
        home = self.network_of(self.tenant, "10.61.0.0/24")
        port, disk = self.port(home.id, self.group().id), self.volume(volume_gib)
        return self.in_status(self.ask_for_server(port.id, disk.id), "ACTIVE")

    @property
    def image_id(self) -> str:
        """An image that anybody may boot."""
        if chosen := os.environ.get("COFFER_CONTRACT_IMAGE"):
            return chosen
        listed = self.service.api.image.images(visibility="public", status="active")
        return str(next(iter(listed)).id)

    @property
    def flavor_id(self) -> str:
        """The smallest flavor."""
        if chosen := os.environ.get("COFFER_CONTRACT_FLAVOR"):
            return chosen
        return str(self._flavors()[0].id)

    def two_flavors(self) -> tuple[Any, Any]:
        """The one that servers are made with, and another that is larger."""
        listed = self._flavors()
        here = next(each for each in listed if each.id == self.flavor_id)
        return here, next(each for each in listed if (each.ram, each.id) > (here.ram, here.id))

    def _flavors(self) -> list[Any]:
        listed = self.service.api.compute.flavors()
        return sorted(listed, key=lambda each: (each.ram, each.id))

    def in_status(self, server_id: str, *statuses: str) -> servers.Server:
        """The server, once it has one of these and Nova is at it no more."""
        seen: list[servers.Server] = []

        def there() -> bool:
            found = servers.get(server_id)
            assert found is not None, "the server has vanished"
            assert found.status != "ERROR", found.fault
            seen.append(found)
            return found.status in statuses and not found.moving

        until(there, f"the server is {' or '.join(statuses)}")
        return seen[-1]


def refused(call: Callable[[], object]) -> errors.CloudError:
    """Our error of a call that the cloud does not do."""
    with pytest.raises(errors.CloudError) as caught:
        call()
    return caught.value
