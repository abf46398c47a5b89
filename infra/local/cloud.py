"""The local cloud as a process, and the calls that a deployer makes to any Keystone and Neutron."""

import shutil
import sys
from dataclasses import dataclass
from typing import Any, Final

import requests

from infra.errors import StackError
from infra.local.processes import PartProcess, leftovers, require_free, stop_all
from infra.local.settings import HOST, Secrets, StackSettings, write_private
from infra.package.sources import PROJECT_ROOT

START_TIMEOUT_SECONDS: Final = 30.0
HTTP_SECONDS: Final = 10.0
NETWORK: Final = "private"


def process(settings: StackSettings) -> PartProcess:
    """The local cloud as a part of the stack."""
    return PartProcess("Local cloud", settings.cloud, settings.state)


def start(settings: StackSettings, secrets: Secrets) -> PartProcess:
    """Start the local cloud, without the servers of an earlier one, and wait until it answers."""
    require_free(settings.cloud_port, "--cloud-port")
    stop_all(part for part in leftovers(settings.state) if "COFFER_SERVER_ID" in part.environ())
    for folder in ("servers", "volumes", "snapshots"):
        shutil.rmtree(settings.cloud / folder, ignore_errors=True)
    bootstrap = settings.cloud / "bootstrap.json"
    write_private(bootstrap, secrets.bootstrap())
    part = process(settings)
    command = [
        *(sys.executable, "-m", "simulator.cloud", "--state", str(settings.cloud)),
        *("--host", HOST, "--port", str(settings.cloud_port)),
        *("--guest-network", settings.guest_network, "--bootstrap", str(bootstrap)),
        "--raised-quotas",
    ]
    if settings.agent_command:
        command += ["--agent-command", settings.agent_command]
    # Guests inherit it, so that their calls can be counted and cut short like a handler's.
    watched = {"COFFER_CRASH_PLAN": settings.parameters.get("CrashPlan", "")}
    part.start(command, {"PYTHONUNBUFFERED": "1", **watched}, PROJECT_ROOT)
    part.wait_until(lambda: answers(settings), START_TIMEOUT_SECONDS)
    return part


def answers(settings: StackSettings) -> bool:
    """Whether Keystone's version document answers."""
    try:
        return requests.get(settings.auth_url, timeout=2).ok
    except requests.RequestException:
        return False


@dataclass(frozen=True)
class Token:
    """A token of Keystone for one project, with its catalog."""

    id: str
    project_id: str
    catalog: list[dict[str, Any]]

    def endpoint(self, service_type: str) -> str:
        """The public URL of a service, without a slash at its end."""
        for service in self.catalog:
            for endpoint in service["endpoints"]:
                if service["type"] == service_type and endpoint["interface"] == "public":
                    return str(endpoint["url"]).rstrip("/")
        raise StackError(
            f"The cloud's catalog has no public endpoint of type {service_type}.",
            "`openstack endpoint create` adds one; for type database, `coffer up` does.",
        )


class Admin:
    """An administrator's session with a cloud: a token and what the catalog says."""

    def __init__(self, auth_url: str, password: str) -> None:
        self.auth_url = auth_url
        token = authenticate(auth_url, "admin", "admin", password)
        self._headers = {"X-Auth-Token": token.id}
        self._token = token

    def endpoint(self, service_type: str) -> str:
        """The public URL of a service; raises StackError when the catalog has none."""
        return self._token.endpoint(service_type)

    def call(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """One request with the token; raises StackError with the cloud's words."""
        response = requests.request(
            method, url, headers=self._headers, timeout=HTTP_SECONDS, **options
        )
        if not response.ok:
            raise StackError(
                f"{method} {url} was answered {response.status_code}: {response.text[:300]}"
            )
        document: dict[str, Any] = response.json() if response.content else {}
        return document


def authenticate(auth_url: str, user: str, project: str, password: str) -> Token:
    """A token of `user` for `project`, both in the default domain."""
    domain = {"name": "Default"}
    identity = {
        "methods": ["password"],
        "password": {"user": {"name": user, "domain": domain, "password": password}},
    }
    scope = {"project": {"name": project, "domain": domain}}
    response = requests.post(
        f"{auth_url}/auth/tokens",
        json={"auth": {"identity": identity, "scope": scope}},
        timeout=HTTP_SECONDS,
    )
    if response.status_code != requests.codes.created:
        raise StackError(
            f"Keystone refused {user} ({response.status_code}).",
            "If the cloud belongs to an older stack: coffer down; coffer up",
        )
    token = response.json()["token"]
    return Token(
        response.headers["X-Subject-Token"], token["project"]["id"], token.get("catalog", [])
    )
