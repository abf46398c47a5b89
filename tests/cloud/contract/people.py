"""The users of the suite: the service's, two tenants', and the administrator who makes them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import openstack

WAIT_SECONDS: Final = 120.0
"""A bound for what must come, not a time in which it has to."""
POLL_SECONDS: Final = 0.05


class Person:
    """A user with some roles on a project of its own, and a client of openstacksdk for it."""

    def __init__(self, admin: Any, name: str, roles: tuple[str, ...]) -> None:
        self._admin = admin
        self.name = f"contract-{name}-{secrets.token_hex(4)}"
        password = secrets.token_urlsafe(16)
        identity = admin.identity
        self.project = identity.create_project(name=self.name, domain_id="default")
        self.user = identity.create_user(
            name=self.name, password=password, domain_id="default", enabled=True
        )
        for role in roles:
            self.grant(role)
        self.api: Any = openstack.connect(
            auth_url=admin.config.auth["auth_url"],
            username=self.name,
            password=password,
            project_id=self.project.id,
            user_domain_id="default",
            region_name=admin.config.get_region_name(),
            load_yaml_config=False,
            load_envvars=False,
        )

    def grant(self, role: str) -> None:
        """Give the user one more role on its project; a token that is there has it not."""
        identity = self._admin.identity
        found = identity.find_role(role) or identity.create_role(name=role)
        identity.assign_project_role_to_user(self.project, self.user, found)

    def get(self, service: str, path: str) -> Any:
        """A bare GET at a service, whatever it answers."""
        return getattr(self.api, service).get(path)

    def gone(self) -> None:
        """Remove what the person has, then the person."""
        compute, storage, network = self.api.compute, self.api.block_storage, self.api.network
        for server in compute.servers():
            compute.delete_server(server, force=True)
        until(lambda: not list(compute.servers()), "the servers are gone")
        for group in compute.server_groups():
            compute.delete_server_group(group)
        for volume in storage.volumes():
            storage.delete_volume(volume)
        until(lambda: not list(storage.volumes()), "the volumes are gone")
        mine = {"project_id": self.project.id}
        for port in network.ports(**mine):
            network.delete_port(port)
        for group in network.security_groups(**mine):
            if group.name != "default":
                network.delete_security_group(group)
        for each in network.networks(**mine):
            network.delete_network(each)
        self.api.close()
        self._admin.identity.delete_user(self.user)
        self._admin.identity.delete_project(self.project)


def until(condition: Callable[[], object], what: str) -> None:
    """Poll a condition; fails the test when it does not come true in time."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"timed out waiting until {what}"
        time.sleep(POLL_SECONDS)
