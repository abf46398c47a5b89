"""The user data of a guest's server: a cloud-config that writes the agent's configuration."""

from __future__ import annotations

from typing import Final

import msgspec

CONFIGURATION_PATH: Final = "/etc/coffer/guest-agent.json"


class GuestConfiguration(msgspec.Struct, frozen=True):
    """What a guest agent has to know before it enrols. The token is its only secret."""

    instance_id: str
    generation: int
    control_url: str
    enrolment_token: str
    datastore_manager: str
    datastore_version: str
    region: str
    aws_endpoint_url: str | None


def for_guest(configuration: GuestConfiguration) -> str:
    """A `#cloud-config` document; its body is JSON, which is YAML too."""
    content = msgspec.json.encode(configuration).decode()
    document = {
        "write_files": [
            {
                "path": CONFIGURATION_PATH,
                "owner": "root:root",
                "permissions": "0600",
                "content": content,
            }
        ],
        "runcmd": [["systemctl", "enable", "--now", "coffer-guest-agent"]],
    }
    return "#cloud-config\n" + msgspec.json.encode(document).decode()
