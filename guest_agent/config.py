"""What a server was told at birth: the agent's file from the user data, and the config drive."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from guest_agent.errors import ConfigurationMissing

AGENT_FILE = Path("etc/coffer/guest-agent.json")
CONFIG_DRIVE = Path("config-drive/openstack/latest")
STATE_FOLDER = Path("var/lib/coffer")

_T = TypeVar("_T")


class AgentFile(msgspec.Struct, frozen=True):
    """`/etc/coffer/guest-agent.json`, written by cloud-init from the user data."""

    instance_id: str
    generation: int
    control_url: str
    enrolment_token: str
    datastore_manager: str
    datastore_version: str
    region: str
    aws_endpoint_url: str | None = None
    database_user: str = "mysql"

    def __repr__(self) -> str:
        return f"AgentFile(instance_id={self.instance_id!r}, generation={self.generation})"


class GuestConfig(msgspec.Struct, frozen=True):
    """Everything the agent knows before it has spoken to anyone. `root` is "/" on a server."""

    root: Path
    agent: AgentFile
    server_id: str
    address: str

    @property
    def state_folder(self) -> Path:
        """Where the agent keeps its key, its journal and its secrets (0700)."""
        return self.root / STATE_FOLDER


class _MetaData(msgspec.Struct):
    uuid: str


class _Network(msgspec.Struct):
    ip_address: str | None = None
    type: str = ""


class _NetworkData(msgspec.Struct):
    networks: list[_Network] = []


def load(root: Path) -> GuestConfig:
    """Read the configuration below a root directory; `ConfigurationMissing` says what to do."""
    agent = _read(root / AGENT_FILE, AgentFile, "the server's user data should write it")
    drive = "the server should be created with a config drive, mounted at /config-drive"
    meta = _read(root / CONFIG_DRIVE / "meta_data.json", _MetaData, drive)
    network = _read(root / CONFIG_DRIVE / "network_data.json", _NetworkData, drive)
    addresses = [
        entry.ip_address
        for entry in network.networks
        if entry.ip_address and entry.type.startswith("ipv4")
    ]
    if not addresses:
        raise ConfigurationMissing(
            f"{root / CONFIG_DRIVE / 'network_data.json'} names no IPv4 address of this server"
        )
    return GuestConfig(root=root, agent=agent, server_id=meta.uuid, address=addresses[0])


def _read(path: Path, kind: type[_T], remedy: str) -> _T:
    try:
        document: Any = path.read_bytes()
    except OSError as error:
        raise ConfigurationMissing(
            f"cannot read {path} ({error.strerror or type(error).__name__}): {remedy}"
        ) from None
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.DecodeError as error:
        raise ConfigurationMissing(f"{path} is not what it should be: {error}") from None
