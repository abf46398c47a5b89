"""Each operation as an operator would do it without Coffer: in the cloud itself, to the end."""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import Any

import openstack

from tests.acceptance.stack import Stack, eventually
from tests.bench import engine

WITHIN_SECONDS = 120.0
PORT = 3306


class ByHand:
    """The service's own rights in the cloud, on the server and the volume of one instance."""

    def __init__(self, stack: Stack, instance_id: str) -> None:
        cloud: Any = openstack.connect(
            auth_url=stack.settings.auth_url,
            username="coffer",
            password=stack.secrets.service_password,
            project_name="service",
            user_domain_name="Default",
            project_domain_name="Default",
            region_name="RegionOne",
            load_yaml_config=False,
            load_envvars=False,
        )
        self.compute, self.volumes, self.networks = (
            cloud.compute,
            cloud.block_storage,
            cloud.network,
        )
        (server,) = stack.things_of(instance_id, "servers")
        (volume,) = stack.things_of(instance_id, "volumes")
        (group,) = stack.things_of(instance_id, "security_groups")
        self.server, self.volume, self.group = server["id"], volume["id"], group["id"]
        self.image = next(iter(cloud.image.images())).id
        self.made = "", ""
        self.rule: str | None = None
        self.opened = 1
        shown = stack.demo.healthy(instance_id)
        self.address, self.network = shown["ip"][0], shown["addresses"][0]["network"]
        self.size = int(shown["volume"]["size"])
        self.flavor = str(shown["flavor"]["id"])

    def create(self) -> None:
        """A volume, a server with it, and the engine: installed, started, asked once."""
        volume = self.volumes.create_volume(name="by hand", size=1)
        self._wait(lambda: self.volumes.get_volume(volume.id).status == "available", "a volume")
        disk = {"uuid": volume.id, "source_type": "volume", "destination_type": "volume"}
        server = self.compute.create_server(
            name="by-hand",
            image_id=self.image,
            flavor_id="1",
            networks=[{"uuid": self.network}],
            block_device_mapping=[{**disk, "boot_index": -1}],
        )
        self.made = server.id, volume.id
        self._wait(lambda: self._status("ACTIVE", server.id), "ACTIVE")
        engine.bring_up_seconds()

    def rebuild(self) -> None:
        """`openstack server rebuild` of what `create` has made, until it is ACTIVE."""
        server_id, _ = self.made
        self.compute.rebuild_server(server_id, image=self.image, name="by-hand")
        self._wait(lambda: self._status("ACTIVE", server_id), "ACTIVE")

    def delete(self) -> None:
        """What `create` has made: `openstack server delete`, and the volume's, until both are."""
        server_id, volume_id = self.made
        self.compute.delete_server(server_id)
        self._wait(lambda: self.compute.find_server(server_id) is None, "no server")
        self.volumes.delete_volume(volume_id)
        self._wait(lambda: self.volumes.find_volume(volume_id) is None, "no volume")

    def open(self) -> None:
        """A rule for one more network, and the one of before away."""
        made = self.networks.create_security_group_rule(
            security_group_id=self.group,
            direction="ingress",
            protocol="tcp",
            port_range_min=PORT,
            port_range_max=PORT,
            remote_ip_prefix=f"10.{self.opened}.0.0/16",
        )
        self.opened += 1
        if self.rule is not None:
            self.networks.delete_security_group_rule(self.rule)
        self.rule = made.id

    def stop(self) -> None:
        """`openstack server stop`, until it is off."""
        self.compute.stop_server(self.server)
        self._wait(lambda: self._status("SHUTOFF"), "SHUTOFF")

    def start(self) -> None:
        """`openstack server start`, until the database greets."""
        self.compute.start_server(self.server)
        self._wait(lambda: self._status("ACTIVE") and self._greets(), "a greeting")

    def reboot(self) -> None:
        """`openstack server reboot --hard`, until the database greets."""
        self.compute.reboot_server(self.server, "HARD")
        self._wait(lambda: self._status("ACTIVE") and self._greets(), "a greeting")

    def grow(self) -> None:
        """`openstack volume set --size`, by a GiB, until Cinder says so."""
        self.size += 1
        self.volumes.extend_volume(self.volume, self.size)

        def grown() -> bool:
            found = self.volumes.get_volume(self.volume)
            return bool(found.size == self.size and found.status == "in-use")

        self._wait(grown, f"{self.size} GiB")

    def resize(self) -> None:
        """`openstack server resize` and its confirmation, until the database greets."""
        self.flavor = "4" if self.flavor == "1" else "1"
        self.compute.resize_server(self.server, self.flavor)
        self._confirm()

    def migrate(self) -> None:
        """`openstack server migrate` and its confirmation, until the database greets."""
        self.compute.migrate_server(self.server)
        self._confirm()

    def _confirm(self) -> None:
        self._wait(partial(self._status, "VERIFY_RESIZE"), "VERIFY_RESIZE")
        self.compute.confirm_server_resize(self.server)
        self._wait(lambda: self._status("ACTIVE") and self._greets(), "a greeting")

    def _status(self, wanted: str, server_id: str = "") -> bool:
        found = self.compute.get_server(server_id or self.server).status
        assert found != "ERROR", "the server went to ERROR"
        return bool(found == wanted)

    def _greets(self) -> bool:
        try:
            with socket.create_connection((self.address, PORT), timeout=1) as connection:
                return bool(connection.recv(1))
        except OSError:
            return False

    def _wait(self, look: Any, what: str) -> None:
        eventually(look, WITHIN_SECONDS, what)


def seconds(done: Any, *arguments: Any) -> float:
    """How long it took."""
    began = time.perf_counter()
    done(*arguments)
    return time.perf_counter() - began
