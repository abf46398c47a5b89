"""Each operation as an operator would do it without Coffer: in the cloud itself, to the end."""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import Any

import openstack

from tests.acceptance.stack import Stack, eventually

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
        self.compute, self.volumes = cloud.compute, cloud.block_storage
        (server,) = stack.things_of(instance_id, "servers")
        (volume,) = stack.things_of(instance_id, "volumes")
        self.server, self.volume = server["id"], volume["id"]
        shown = stack.demo.healthy(instance_id)
        self.address = shown["ip"][0]
        self.size = int(shown["volume"]["size"])
        self.flavor = str(shown["flavor"]["id"])

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

    def _status(self, wanted: str) -> bool:
        found = self.compute.get_server(self.server).status
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
