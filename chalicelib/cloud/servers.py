"""Nova servers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chalicelib.cloud.session import cloud_call, connection

DELETING: Final = ("deleting", "soft-deleting")


class Server(msgspec.Struct, frozen=True):
    """A server: id, name, Nova's status, whether its deletion is under way, and its fault."""

    id: str
    name: str
    status: str
    deleting: bool
    fault: str | None


@cloud_call
def find(pattern: str) -> list[Server]:
    """The servers whose name matches a regular expression, oldest first."""
    found = connection().compute.servers(details=True, name=pattern)
    ordered = sorted(found, key=lambda server: (server.created_at or "", server.id))
    return [_server(each) for each in ordered if each.status not in ("DELETED", "SOFT_DELETED")]


@cloud_call
def create(
    name: str,
    *,
    image_id: str,
    flavor_id: str,
    port_id: str,
    volume_id: str,
    user_data: str,
    availability_zone: str | None,
    metadata: Mapping[str, str],
) -> Server:
    """Ask for a server with its port and its data volume; it is in BUILD at first."""
    disks: list[dict[str, Any]] = [
        {
            "boot_index": 0,
            "uuid": image_id,
            "source_type": "image",
            "destination_type": "local",
            "delete_on_termination": True,
        },
        {
            "boot_index": -1,
            "uuid": volume_id,
            "source_type": "volume",
            "destination_type": "volume",
            "delete_on_termination": False,
        },
    ]
    placed = {"availability_zone": availability_zone} if availability_zone else {}
    return _server(
        connection().compute.create_server(
            name=name,
            image_id=image_id,
            flavor_id=flavor_id,
            networks=[{"port": port_id}],
            block_device_mapping=disks,
            user_data=base64.b64encode(user_data.encode()).decode(),
            config_drive=True,
            metadata=dict(metadata),
            **placed,
        )
    )


@cloud_call
def delete(server_id: str) -> None:
    """Ask for a server to be deleted; one that is gone is fine."""
    connection().compute.delete_server(server_id, ignore_missing=True)


def _server(raw: Any) -> Server:
    fault = (getattr(raw, "fault", None) or {}).get("message")
    return Server(
        id=raw.id,
        name=raw.name or "",
        status=raw.status or "BUILD",
        deleting=raw.task_state in DELETING,
        fault=fault,
    )
