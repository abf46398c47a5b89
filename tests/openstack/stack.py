"""Coffer on the real OpenStack, as the acceptance tests see it: what they ask of the local cloud's
test controls is asked of the services.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

from infra.local import ministack
from infra.local.processes import leftovers, stop_all
from infra.local.settings import (
    STACK_NAME,
    StackSettings,
    cache_folder,
    load_secrets,
    write_private,
)
from simulator.cloud.model.cloud import PRIVATE_NETWORK
from tests.acceptance.stack import TIMEOUT_SECONDS, Stack, coffer, eventually
from tests.openstack import people
from tests.openstack.site import Site
from tests.support.loopback import free_port

WARM_SECONDS = 120
HURTS = {name: name for name in ("kill_agent", "pause_agent", "resume_agent")}
HURTS["kill_server"] = "stop"
"""What the hypervisor calls them. A server without power is started by nobody but Nova."""


@dataclass(frozen=True)
class RealSettings(StackSettings):
    """A stack whose cloud somebody else runs."""

    keystone_url: str = ""

    @property
    def auth_url(self) -> str:
        return self.keystone_url


class RealStack(Stack):
    """The stack under test. A deployment has no plan of deaths: none of its functions dies."""

    def __init__(self, settings: RealSettings, site: Site) -> None:
        super().__init__(settings, settings.api_url, Path())
        self.site = site

    def coffer(self, *arguments: str) -> str:
        """Run a command of the command line on this deployment; what it printed."""
        environment = _environment(self.settings, self.site)
        return coffer(environment, *arguments, "--stack", STACK_NAME)

    @property
    def guest_logs(self) -> tuple[str, ...]:
        """The agents' logs on their servers' disks."""
        found = self.site.state.glob("cloud/servers/*/var/log/guest-agent.log")
        return tuple(f"--guest-log={each}" for each in found)

    @cached_property
    def administrator(self) -> Any:
        """A session of openstacksdk that sees everything."""
        return people.connect(self.site)

    def things_of(self, instance_id: str, kind: str) -> list[dict[str, Any]]:
        """What the services hold in the name of an instance, in the local cloud's words."""
        found: list[dict[str, Any]] = getattr(self, f"_{kind}")(instance_id)
        return found

    def cloud(self, method: str, path: str, body: Any = None) -> Any:
        """Hurt a guest; what else the local cloud's controls can do, nobody can here."""
        where, _, action = path.rpartition("/")
        assert action in HURTS, f"a real cloud can't {action}"
        url = f"{self.site.url('hypervisor')}{where}/{HURTS[action]}"
        answer = requests.post(url, json={}, timeout=TIMEOUT_SECONDS)
        assert answer.ok, answer.text
        return answer.json()

    def _servers(self, instance_id: str) -> list[dict[str, Any]]:
        servers = _named(self.administrator.compute.servers(all_projects=True), instance_id)
        return [{**server, "host": server["compute_host"]} for server in servers]

    def _volumes(self, instance_id: str) -> list[dict[str, Any]]:
        return _named(self.administrator.block_storage.volumes(all_projects=True), instance_id)

    def _snapshots(self, backup_id: str) -> list[dict[str, Any]]:
        return _named(self.administrator.block_storage.snapshots(all_projects=True), backup_id)

    def _ports(self, instance_id: str) -> list[dict[str, Any]]:
        return _named(self.administrator.network.ports(), instance_id)

    def _security_groups(self, instance_id: str) -> list[dict[str, Any]]:
        groups = _named(self.administrator.network.security_groups(), instance_id)
        for group in groups:
            rules = group["security_group_rules"]
            sources = (rule["remote_ip_prefix"] for rule in rules)
            group["sources"] = sorted(source for source in sources if source)
        return groups

    def _floating_ips(self, instance_id: str) -> list[dict[str, Any]]:
        addresses = [each.to_dict() for each in self.administrator.network.ips()]
        return [
            {**each, "name": each["description"]}
            for each in addresses
            if instance_id in each["description"]
        ]


@contextmanager
def deployed(site: Site, state: Path, parameters: Mapping[str, str]) -> Iterator[RealStack]:
    """Coffer, as `coffer deploy` brings it to a MiniStack for that OpenStack; gone at the end."""
    port = free_port()
    settings = RealSettings(
        state=state,
        aws_port=port,
        chosen_api_port=free_port(),
        guest_network=site.guest_network,
        keystone_url=site.auth_url,
    )
    password = site.password
    users = replace(load_secrets(settings), admin_password=password, demo_password=password)
    write_private(state / "secrets.json", asdict(users))
    part = ministack.start(settings, cache_folder())
    environment = _environment(settings, site)
    try:
        given = [f"--parameter={name}={value}" for name, value in parameters.items()]
        front = ("--front-port", str(settings.api_port), "--replace-catalog-entry")
        coffer(environment, "deploy", "--network", PRIVATE_NETWORK, *front, *given)
        stack = RealStack(settings, site)
        # The first request starts a function and has it log in at a Keystone that may be busy.
        eventually(lambda: stack.demo.request("GET", "/instances").ok, WARM_SECONDS, "an answer")
        try:
            yield stack
        finally:
            coffer(environment, "undeploy", "--even-with-instances", "--tables")
    finally:
        stop_all(leftovers(state / "deployments" / STACK_NAME))
        part.stop()


def _environment(settings: StackSettings, site: Site) -> dict[str, str]:
    """What leads the command line to both clouds, as their administrator."""
    return {
        **os.environ,
        "COFFER_STATE": str(settings.state),
        **settings.aws_environment(),
        **site.client_variables("admin"),
    }


def _named(things: Any, instance_id: str) -> list[dict[str, Any]]:
    found = [thing.to_dict() for thing in things]
    return [thing for thing in found if instance_id in str(thing["name"])]
