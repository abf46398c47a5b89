"""Whose the things in the cloud are, by the deployment's mark on them and by their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from chalicelib.cloud.names import KEPT_KEY
from simulator.cloud.model.cloud import Cloud
from simulator.template import DEPLOYMENT_ID, PREFIX

_MARK: Final = re.compile(r"Database instance (\S+) of ")
ID_LENGTH: Final = 36
DASHES: Final = 4


def things_of(cloud: Cloud, instance_id: str) -> dict[str, list[Any]]:
    """What an instance has in the cloud by kind, without what is being deleted."""
    found: dict[str, list[Any]] = {
        kind: []
        for kind in (
            *("server", "volume", "port", "security group", "floating address", "server group"),
        )
    }
    for kind, owner, thing in owned_things(cloud):
        if owner == instance_id:
            found[kind].append(thing)
    return found


def owned_things(cloud: Cloud) -> Iterator[tuple[str, str, Any]]:
    """Everything in the cloud that carries the deployment's mark: kind, instance id, thing. What
    outlives its instance for its snapshots is nobody's."""
    for server in cloud.compute.servers.values():
        if server.task_state not in ("deleting", "force-deleting"):
            yield from _owned("server", server)
    for volume in cloud.volume.volumes.values():
        if volume.status != "deleting" and KEPT_KEY not in volume.metadata:
            yield from _owned("volume", volume)
    for port in cloud.network.ports.values():
        yield from _owned("port", port)
    for group in cloud.network.security_groups.groups.values():
        yield from _owned("security group", group)
    for address in cloud.network.floating.rows.values():
        if marked := _MARK.match(address.description):
            yield "floating address", marked[1], address
    for placed in cloud.compute.groups.groups.values():
        yield from _owned("server group", placed)


def _owned(kind: str, thing: Any) -> Iterator[tuple[str, str, Any]]:
    instance_id = marked_for(thing)
    if instance_id is not None:
        yield kind, instance_id, thing


def marked_for(thing: Any) -> str | None:
    """The instance of this deployment whose thing in the cloud it is, or None."""
    metadata = getattr(thing, "metadata", None)
    if metadata is not None:
        ours = metadata.get("coffer_deployment_id") == DEPLOYMENT_ID
        return str(metadata["coffer_instance_id"]) if ours else None
    described = str(thing.description).removesuffix(f" of deployment {DEPLOYMENT_ID}")
    if described == thing.description:
        return None
    return described.removeprefix("Database instance ")


def owner_of(name: str) -> str | None:
    """The instance id in a thing's name: `coffer-<36 characters>`, perhaps with a generation."""
    prefix, _, rest = name.partition("-")
    if prefix != PREFIX or len(rest) < ID_LENGTH or rest.count("-") < DASHES:
        return None
    ending = rest[ID_LENGTH:]
    return rest[:ID_LENGTH] if not ending or ending[1:].isdecimal() else None
