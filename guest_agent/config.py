"""What an agent knows before it has spoken to anyone; `guest_agent.birth` finds it out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

AGENT_FILE: Final = Path("etc/coffer/guest-agent.json")
STATE_FOLDER: Final = Path("var/lib/coffer")
EVERY_ADDRESS: Final = "*"
"""MariaDB's word for all addresses of both families, those to come included."""


class AgentFile(msgspec.Struct, frozen=True):
    """`/etc/coffer/guest-agent.json`, written by cloud-init from the user data.

    `datastore_version` begins with the numbers of the engine's series. Without a `database_user`,
    the database runs as the one of its engine.
    """

    instance_id: str
    generation: int
    control_url: str
    enrolment_token: str
    datastore_manager: str
    datastore_version: str
    region: str
    aws_endpoint_url: str | None = None
    database_user: str = ""

    def __repr__(self) -> str:
        return f"AgentFile(instance_id={self.instance_id!r}, generation={self.generation})"


class GuestConfig(msgspec.Struct, frozen=True):
    """`root` is "/" on a server; `bind_address` is where its database listens."""

    root: Path
    agent: AgentFile
    server_id: str
    bind_address: str

    @property
    def state_folder(self) -> Path:
        """Where the agent keeps its key, its journal and its secrets (0700)."""
        return self.root / STATE_FOLDER
