"""Nova servers."""

from __future__ import annotations

import base64
import contextlib
import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from chalicelib.cloud import names
from chalicelib.cloud.session import cloud_call, connection, own_project

DELETING: Final = ("deleting", "soft-deleting")
SOFT_DELETED: Final = "SOFT_DELETED"
GONE: Final = ("DELETED", SOFT_DELETED)
REBUILDABLE: Final = ("ACTIVE", "SHUTOFF", "ERROR")
"""Where Nova takes a rebuild."""
REPLACING: Final = ("rebuild", "evacuate")
"""Nova's actions after which a server may have another root disk."""
MOST_ACTIONS: Final = 200
"""So many of a server's actions are looked at, the newest first."""


class Server(msgspec.Struct, frozen=True):
    """A server: id, name, Nova's status, whether its deletion is under way, and its fault.

    `moving` while Nova is at it with a task. `owner` is the instance of this deployment that it
    belongs to, or None. `flavor` is the name of its flavor as it was when it got it, or its id:
    Nova tells one of the two, and with the name `ram` (MiB) and `vcpus`, else 0. `image_id` is what
    its root disk was made of. `host_id` is where it is: Nova tells a name of its own for each host.
    `volumes` are the ids of those that it has. One that was never `launched` has been on no host.
    """

    id: str
    name: str
    status: str
    deleting: bool
    fault: str | None
    owner: str | None
    metadata: Mapping[str, str] = {}
    moving: bool = False
    flavor: str = ""
    image_id: str | None = None
    ram: int = 0
    vcpus: int = 0
    host_id: str = ""
    volumes: frozenset[str] = frozenset()
    launched: bool = True

    def has_flavor(self, flavor_id: str, name: str, ram: int, vcpus: int) -> bool:
        """Whether that is its flavor: a name may have become another one's since it got it."""
        same = self.flavor in (flavor_id, name)
        return same and self.ram in (0, ram) and self.vcpus in (0, vcpus)


class Replacement(msgspec.Struct, frozen=True):
    """One of Nova's actions, `rebuild` or `evacuate`; times are Nova's, in seconds."""

    request_id: str
    action: str
    started: float


@cloud_call
def find(instance_id: str) -> list[Server]:
    """The servers of an instance, of all generations, oldest first."""
    raw = connection().compute.servers(details=True, name=names.server_pattern(instance_id))
    ordered = sorted(raw, key=lambda server: (server.created_at or "", server.id))
    present = [_server(each) for each in ordered if each.status not in GONE]
    return [each for each in present if each.owner == instance_id]


@cloud_call
def get(server_id: str) -> Server | None:
    """The server, or None."""
    from openstack.exceptions import NotFoundException

    try:
        found = _server(connection().compute.get_server(server_id))
    except NotFoundException:
        return None
    return None if found.status in GONE else found


@cloud_call
def find_soft_deleted(server_id: str) -> Server | None:
    """A deleted server that Nova keeps for a while, with its volume and its port, or None.

    No list shows one; its id is known from what it holds.
    """
    from openstack.exceptions import NotFoundException

    try:
        found = _server(connection().compute.get_server(server_id))
    except NotFoundException:
        return None
    return found if found.status == SOFT_DELETED else None


@cloud_call
def page(after: str | None, limit: int) -> list[Server]:
    """A page of the servers that the service's project has, whoever made them."""
    raw = connection().compute.servers(details=True, marker=after, limit=limit, paginated=False)
    return [_server(each) for each in raw]


@cloud_call
def find_zones() -> frozenset[str]:
    """The names of the zones that take servers at the moment."""
    zones = connection().compute.availability_zones()
    return frozenset(zone.name for zone in zones if (zone.state or {}).get("available"))


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
    group_id: str | None,
    metadata: Mapping[str, str],
) -> str:
    """Ask for a server with its port and its data volume; answers the id, as Nova tells no more.

    Where it may be follows from the policy of its group, if it has one.
    """
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
    placed: dict[str, Any] = {}
    if availability_zone:
        placed["availability_zone"] = availability_zone
    if group_id:
        placed["scheduler_hints"] = {"group": group_id}
    made = connection().compute.create_server(
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
    return str(made.id)


@cloud_call
def stop(server_id: str) -> None:
    """Ask for a server to be switched off, in order if its system listens."""
    connection().compute.stop_server(server_id)


@cloud_call
def start(server_id: str) -> None:
    """Ask for a server to be switched on that is SHUTOFF."""
    connection().compute.start_server(server_id)


@cloud_call
def resize(server_id: str, flavor_id: str) -> None:
    """Ask for a server that is ACTIVE or SHUTOFF to get another flavor, with its disks as they are.

    It is in RESIZE at first, then in VERIFY_RESIZE, or as before when no host took it.
    """
    connection().compute.resize_server(server_id, flavor_id)


@cloud_call
def migrate(server_id: str, host: str | None) -> None:
    """Ask for a server that is ACTIVE or SHUTOFF to be moved to that host, or to any other.

    What follows is as after `resize`. Nova lets whoever manages the project ask for it, and only
    administrators name the host, unless its policy says otherwise.
    """
    connection().compute.migrate_server(server_id, host=host)


@cloud_call
def confirm_resize(server_id: str) -> None:
    """Ask for the resize of a server in VERIFY_RESIZE to stay; asking again is fine.

    Nova answers 400 while it is at it, and shows no task.
    """
    from openstack.exceptions import BadRequestException

    with contextlib.suppress(BadRequestException):
        connection().compute.confirm_server_resize(server_id)


@cloud_call
def revert_resize(server_id: str) -> None:
    """Ask for a server in VERIFY_RESIZE to be as before; asking again is fine."""
    from openstack.exceptions import BadRequestException

    with contextlib.suppress(BadRequestException):
        connection().compute.revert_server_resize(server_id)


@cloud_call
def rebuild(
    server_id: str, *, name: str, image_id: str, user_data: str, metadata: Mapping[str, str]
) -> None:
    """Ask for a new root disk from an image; ports and volumes stay, the metadata is replaced.

    Name and metadata are changed when Nova accepts it, so that they tell a rebuild that was
    accepted from one that was not. A server that is SHUTOFF is so again afterwards.
    """
    connection().compute.rebuild_server(
        server_id,
        image=image_id,
        name=name,
        user_data=base64.b64encode(user_data.encode()).decode(),
        metadata=dict(metadata),
    )


@cloud_call
def find_replacement(server_id: str) -> Replacement | None:
    """The last time at which a server was given another root disk, whoever asked for it, or None.

    Nova keeps the actions of a server as long as the server.
    """
    listed: Any = connection().compute.server_actions(server_id)
    for each in itertools.islice(listed, MOST_ACTIONS):  # the newest first
        if each.action in REPLACING:
            return Replacement(each.request_id, each.action, _time(each.start_time))
    return None


@cloud_call
def find_end(server_id: str, replacement: Replacement) -> float | None:
    """When it was over, or None while Nova is at it."""
    found: Any = connection().compute.get_server_action(replacement.request_id, server_id)
    ends = [each.finish_time for each in found.events or []]
    return max(map(_time, ends)) if ends and all(ends) else None


@cloud_call
def attach_volume(server_id: str, volume_id: str) -> None:
    """Ask for an available volume to be put into a server that is ACTIVE or SHUTOFF."""
    connection().compute.create_volume_attachment(server_id, volume=volume_id)


@cloud_call
def detach_volume(server_id: str, volume_id: str) -> None:
    """Ask for a volume to be taken out of a server that is ACTIVE or SHUTOFF; gone is fine."""
    connection().compute.delete_volume_attachment(server_id, volume=volume_id)


@cloud_call
def delete(server_id: str) -> None:
    """Ask for a server to be deleted at once; one that is gone is fine.

    A plain DELETE leaves it SOFT_DELETED, with its volume and its port, in a Nova that is set up so
    (`reclaim_instance_interval`), and in no list. The forced one is a member's too.
    """
    from openstack.exceptions import NotFoundException

    with contextlib.suppress(NotFoundException):
        connection().compute.delete_server(server_id, force=True)


def _time(text: str) -> float:
    """Nova's times are UTC, without saying so."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _server(raw: Any) -> Server:
    own = raw.project_id == own_project()
    fault = (getattr(raw, "fault", None) or {}).get("message")
    flavor = raw.flavor or {}
    return Server(
        id=raw.id,
        name=raw.name or "",
        status=raw.status or "BUILD",
        deleting=raw.task_state in DELETING or raw.status in GONE,
        fault=fault,
        owner=names.marked_in_metadata(raw.metadata or {}) if own else None,
        metadata=dict(raw.metadata or {}),
        moving=raw.task_state is not None,
        flavor=str(flavor.get("original_name") or flavor.get("id") or ""),
        image_id=(raw.image or {}).get("id"),
        ram=int(flavor.get("ram") or 0),
        vcpus=int(flavor.get("vcpus") or 0),
        host_id=raw.host_id or "",
        volumes=frozenset(each["id"] for each in raw.attached_volumes or ()),
        launched=raw.launched_at is not None,
    )
