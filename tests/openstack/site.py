"""Where one OpenStack lives: its state folder, its ports, its environment and its one password."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from infra.local.processes import LAST_LINES, PartProcess
from infra.local.settings import write_private
from infra.package.sources import PROJECT_ROOT

HOST: Final = "127.0.0.1"
REGION: Final = "RegionOne"
SERVICE_USER: Final = "openstack"
"""The services' own user: what it may do is of no matter here, so that one does for all."""
START_SECONDS: Final = 300
"""A bound for a service that starts beside eight others on two cores, not what it takes."""
MANAGE_SECONDS: Final = 300
VARIABLE: Final = "COFFER_OPENSTACK"
"""Names the file in which a running one is described."""
TOKEN_CACHE_SECONDS: Final = 2
INSIDE: Final = Path(__file__).with_name("inside")

Sections = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Site:
    """One OpenStack. Its services find each other by Keystone's catalog."""

    state: Path
    environment: Path
    """The virtual environment that the services are installed in."""
    ports: Mapping[str, int]
    guest_network: str
    """A /16 of loopback: the tenants' network is its first /24s, the public one its last."""
    password: str

    def url(self, service: str) -> str:
        """The root of a service's API."""
        return f"http://{HOST}:{self.ports[service]}"

    @property
    def auth_url(self) -> str:
        return f"{self.url('keystone')}/v3"

    @property
    def messages_url(self) -> str:
        return f"rabbit://guest:guest@{HOST}:{self.ports['rabbitmq']}/"

    def database_url(self, name: str) -> str:
        """The URL of one of the databases, for SQLAlchemy."""
        return f"mysql+pymysql://openstack:{self.password}@{HOST}:{self.ports['mariadb']}/{name}"

    def folder(self, name: str) -> Path:
        """A service's own folder, made when it is not there."""
        folder = self.state / name
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        return folder

    def binary(self, name: str) -> str:
        """A command of the services' environment."""
        return str(self.environment / "bin" / name)

    def service_login(self) -> dict[str, object]:
        """What a service logs in with, in the words of keystoneauth's options."""
        return {
            "auth_type": "password",
            "auth_url": self.auth_url,
            "username": SERVICE_USER,
            "password": self.password,
            "project_name": "service",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "region_name": REGION,
        }

    def common(self, service: str, *, rpc: bool = True) -> dict[str, dict[str, object]]:
        """The sections that every service has: database, tokens, locks and messages."""
        default = {"transport_url": self.messages_url} if rpc else {}
        tokens = {"service_token_roles_required": True, "service_token_roles": "service"}
        return {
            "DEFAULT": {"state_path": self.folder(service), **default},
            "database": {"connection": self.database_url(service)},
            "keystone_authtoken": {
                **self.service_login(),
                "www_authenticate_uri": self.auth_url,
                # By default a role that is given counts for a known token after five minutes.
                "token_cache_time": TOKEN_CACHE_SECONDS,
                **tokens,
            },
            "service_user": {**self.service_login(), "send_service_user_token": True},
            "oslo_concurrency": {"lock_path": self.folder(f"{service}/locks")},
        }

    def configure(self, service: str, sections: Sections, name: str | None = None) -> Path:
        """Write a service's configuration below its folder; secrets in it are the owner's alone."""
        parser = configparser.RawConfigParser(default_section="no section is")
        parser.read_dict({name: dict(values) for name, values in sections.items()})
        file = self.folder(service) / f"{name or service}.conf"
        descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            parser.write(stream)
        return file

    def part(self, name: str) -> PartProcess:
        """One process of this OpenStack."""
        return PartProcess(name, self.folder(f"processes/{name}"), self.state)

    def record(self) -> Path:
        """Write down how to reach it and how to log in, for a test to come."""
        file = self.state / "site.json"
        write_private(
            file,
            {
                "state": str(self.state),
                "environment": str(self.environment),
                "ports": dict(self.ports),
                "guest_network": self.guest_network,
                "password": self.password,
                "clients": self.client_variables("admin"),
            },
        )
        return file

    @classmethod
    def read(cls, file: Path) -> Site:
        """The one that was recorded."""
        known = json.loads(file.read_text())
        return cls(
            Path(known["state"]),
            Path(known["environment"]),
            known["ports"],
            known["guest_network"],
            known["password"],
        )

    def client_variables(self, user: str, project: str | None = None) -> dict[str, str]:
        """What OpenStack's clients are told; a user's project is of the same name."""
        return {
            "OS_AUTH_URL": self.auth_url,
            "OS_IDENTITY_API_VERSION": "3",
            "OS_USERNAME": user,
            "OS_PASSWORD": self.password,
            "OS_PROJECT_NAME": project or user,
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_REGION_NAME": REGION,
        }

    def parts(self) -> list[PartProcess]:
        """Every process that was started and not stopped."""
        files = sorted(self.folder("processes").glob("*/pid"))
        return [self.part(file.parent.name) for file in files]

    def variables(self) -> dict[str, str]:
        """What each process is told; its loopback traffic meets no proxy."""
        return {
            "PYTHONPATH": str(INSIDE),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
            "no_proxy": "*",
        }

    def start(
        self, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> PartProcess:
        """Start one process, its output in its log."""
        part = self.part(name)
        part.start(command, {**self.variables(), **(environment or {})}, PROJECT_ROOT)
        return part

    def manage(
        self, name: str, *command: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """Run one of the services' own commands to its end; raises with the end of its log."""
        log = self.folder(f"processes/manage-{name}") / "log"
        with log.open("ab") as stream:
            done = subprocess.run(
                [self.binary(command[0]), *command[1:]],
                env={**os.environ, **self.variables(), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                timeout=MANAGE_SECONDS,
                check=False,
            )
        if done.returncode:
            words = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
            raise SiteError(f"{' '.join(command)} ended with {done.returncode}:\n{words}")

    def serve(
        self, service: str, module: str, environment: Mapping[str, str] | None = None, *argv: str
    ) -> PartProcess:
        """Serve the `application` of a module on the service's port."""
        script = str(INSIDE / "serve.py")
        command = [self.binary("python"), script, module, str(self.ports[service]), *argv]
        return self.start(f"{service}-api", command, environment)


class SiteError(Exception):
    """The OpenStack can't be brought up; the message says what was said last."""


def listens(port: int) -> Callable[[], bool]:
    """Whether somebody listens on a port of loopback."""

    def look() -> bool:
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in psutil.net_connections(kind="tcp4")
        )

    return look


def await_all(parts: Mapping[PartProcess, Callable[[], Any]]) -> None:
    """Wait until each process is ready, each within the bound."""
    for part, ready in parts.items():
        part.wait_until(ready, START_SECONDS)
