"""A served cloud as a process of its own, and the few things that tests do with it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openstack
import requests

from simulator.cloud import processes
from tests.support.loopback import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
STUB_AGENT = Path(__file__).with_name("stub_agent.py")
PASSWORDS = {
    "admin_password": "the-admin-password",
    "service_password": "the-service-password",
    "demo_password": "the-demo-password",
    "validation_password": "the-validation-password",
}
WAIT_SECONDS = 60.0
"""A bound for what must come, not a time in which it has to: a loaded machine is no failure."""


class ServedCloud:
    """`python -m simulator.cloud` on a free port, with a stub for the guest agent."""

    def __init__(self, root: Path, network: str, *options: str) -> None:
        self.network = network
        self.state = root / "state"
        self.log = root / "log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        bootstrap = root / "bootstrap.json"
        bootstrap.write_text(json.dumps({"region": "RegionOne", **PASSWORDS}))
        bootstrap.chmod(0o600)
        command = f"{sys.executable} {STUB_AGENT}"
        self.command = [
            *(sys.executable, "-m", "simulator.cloud", "serve", "--state", str(self.state)),
            *("--bootstrap", str(bootstrap), "--port", str(self.port)),
            *("--agent-command", command, "--guest-network", network, *options),
        ]
        self.process: subprocess.Popen[bytes] | None = None
        self._control_token: str | None = None

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self._control_token = None  # tokens end with the process
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=REPOSITORY, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        wait_until(self._answers, "the cloud answers")

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(WAIT_SECONDS)
            self.process = None

    def crash(self) -> None:
        """End it without a chance to clean up."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(WAIT_SECONDS)
        self.process = None

    def connect(self, user: str, project: str | None = None) -> Any:
        """A client of openstacksdk for one of the users made at start."""
        key = {"admin": "admin_password", "coffer": "service_password"}.get(user, "demo_password")
        projects = {"coffer": "service"}
        return openstack.connect(
            auth_url=f"{self.url}/identity/v3",
            username=user,
            password=PASSWORDS[key],
            project_name=project or projects.get(user, user),
            user_domain_name="Default",
            project_domain_name="Default",
            region_name="RegionOne",
            load_yaml_config=False,
            load_envvars=False,
        )

    def grant(self, user: str, role: str) -> None:
        """Give one of those users one more role on its project, as an operator would."""
        identity = self.connect("admin").identity
        project = identity.find_project("service" if user == "coffer" else user)
        found = identity.find_user(user)
        identity.assign_project_role_to_user(project, found, identity.find_role(role))

    def call(self, method: str, path: str, token: str = "", **options: Any) -> requests.Response:
        """A bare HTTP request."""
        headers = {"X-Auth-Token": token, **options.pop("headers", {})}
        return requests.request(
            method, f"{self.url}{path}", headers=headers, timeout=WAIT_SECONDS, **options
        )

    def control(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request to the simulator's own routes, which are an administrator's."""
        if self._control_token is None:
            self._control_token = str(self.connect("admin").auth_token)
        return self.call(method, f"/_simulator{path}", self._control_token, **options)

    def root_of(self, server_id: str) -> Path:
        """The folder that is a server's disk."""
        return self.state / "servers" / server_id

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.call("GET", "/healthz").ok
        except requests.ConnectionError:
            return False


class Tenant:
    """A client with short cuts that make one of each thing and remember it for the clean-up."""

    def __init__(self, connection: Any) -> None:
        self.api = connection
        self.token: str = connection.auth_token
        self.network = connection.network.find_network("private", ignore_missing=False)
        self.image = next(iter(connection.image.images(tag="coffer")))

    def volume(self, name: str, wait: bool = True) -> Any:
        """A volume of 1 GiB."""
        volume = self.api.block_storage.create_volume(size=1, name=name)
        if wait:
            self.api.block_storage.wait_for_status(volume, interval=0.02, wait=WAIT_SECONDS)
        return volume

    def port(self, name: str, **options: Any) -> Any:
        """A port on the private network."""
        return self.api.network.create_port(network_id=self.network.id, name=name, **options)

    def server(
        self,
        name: str,
        *,
        port: Any = None,
        volume: Any = None,
        user_data: str = "",
        wait: bool = True,
        **options: Any,
    ) -> Any:
        """A server of the smallest flavor; waits until it is ACTIVE."""
        server = self.api.compute.create_server(
            name=name,
            **{"image_id": self.image.id, "flavor_id": "1", **options},
            networks=[{"port": port.id}] if port else "auto",
            user_data=encoded(user_data),
            **({"block_device_mapping_v2": [mapping(volume)]} if volume else {}),
        )
        return self.wait(server) if wait else server

    def wait(self, server: Any, status: str = "ACTIVE") -> Any:
        """Wait for a status of a server."""
        return self.api.compute.wait_for_server(
            self.api.compute.get_server(server.id),
            status=status,
            failures=[],
            interval=0.02,
            wait=WAIT_SECONDS,
        )

    def delete_everything(self) -> None:
        """Leave nothing behind for the next test."""
        compute, storage, network = self.api.compute, self.api.block_storage, self.api.network
        for server in compute.servers():
            compute.delete_server(server)
        wait_until(lambda: not list(compute.servers()), "the servers are gone")
        for volume in storage.volumes():
            if volume.status not in ("available", "error"):
                storage.post(f"/volumes/{volume.id}/action", json={"os-force_delete": {}})
            else:
                storage.delete_volume(volume)
        for port in network.ports(project_id=self.api.current_project_id):
            network.delete_port(port)
        for group in network.security_groups(project_id=self.api.current_project_id):
            if group.name != "default":
                network.delete_security_group(group)
        wait_until(lambda: not list(storage.volumes()), "the volumes are gone")


def mapping(volume: Any) -> dict[str, Any]:
    """A volume that is to be in a server, beside the disk that it boots from."""
    return {
        "uuid": volume.id,
        "source_type": "volume",
        "destination_type": "volume",
        "boot_index": -1,
    }


def encoded(user_data: str) -> str:
    """User data as Nova takes it."""
    return base64.b64encode(user_data.encode()).decode()


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Poll a condition; fails the test when it does not come true in time."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"timed out waiting until {what}"
        time.sleep(0.02)


def alive(server_id: str) -> list[int]:
    """The processes of a server."""
    return processes.of_servers([server_id])
