"""The cloud that a deployment of these tests is for: the local one, or the real one of
COFFER_OPENSTACK.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from infra.local import cloud
from infra.local.settings import StackSettings, load_secrets
from simulator.cloud.model.cloud import PRIVATE_NETWORK
from tests.openstack import people
from tests.openstack.site import VARIABLE, Site
from tests.support.loopback import free_port, own_network
from tests.wire.stack import CLOUD_KINDS


class Login(NamedTuple):
    """Where a cloud's Keystone answers, and the passwords of its users `admin` and `demo`."""

    auth_url: str
    passwords: Mapping[str, str]


class Cloud(Protocol):
    """What a person with a deployment has to know of the cloud that it is for."""

    login: Login
    choices: tuple[str, ...]
    """What `coffer deploy` has to be told of it."""

    def holds(self) -> dict[str, list[str]]:
        """The names of what there is of each kind that databases are made of."""


class _Local:
    choices: tuple[str, ...] = ()

    def __init__(self, settings: StackSettings) -> None:
        secrets = load_secrets(settings)
        passwords = {"admin": secrets.admin_password, "demo": secrets.demo_password}
        self.login = Login(settings.auth_url, passwords)
        self._inventory = f"{settings.cloud_url}/_simulator/inventory"

    def holds(self) -> dict[str, list[str]]:
        admin = cloud.Admin(self.login.auth_url, self.login.passwords["admin"])
        inventory = admin.call("GET", self._inventory)
        return {
            kind: [each["name"] for each in inventory[kind] if each["name"] != "default"]
            for kind in CLOUD_KINDS
        }


class _Real:
    choices: tuple[str, ...] = ("--network", PRIVATE_NETWORK, "--replace-catalog-entry")

    def __init__(self, site: Site) -> None:
        self.login = Login(site.auth_url, dict.fromkeys(("admin", "demo"), site.password))
        self._site = site

    def holds(self) -> dict[str, list[str]]:
        with people.connect(self._site) as admin:
            found = {
                "servers": admin.compute.servers(all_projects=True),
                "volumes": admin.block_storage.volumes(all_projects=True),
                "ports": admin.network.ports(),
                "security_groups": admin.network.security_groups(),
            }
            return {
                kind: [each.name for each in things if each.name.startswith("dbs-")]
                for kind, things in found.items()
            }


@contextmanager
def cloud_to_deploy_for(state: Path) -> Iterator[Cloud]:
    """It is ended afterwards if it was started for this; `state` is a folder of its own."""
    if file := os.environ.get(VARIABLE):
        yield _Real(Site.read(Path(file)))
        return
    settings = StackSettings(state, cloud_port=free_port(), guest_network=own_network())
    part = cloud.start(settings, load_secrets(settings))
    try:
        yield _Local(settings)
    finally:
        part.stop()
