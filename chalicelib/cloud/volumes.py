"""Cinder volumes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chalicelib.cloud import names
from chalicelib.cloud.session import cloud_call, connection, own_project

DELETABLE: Final = ("available", "error", "error_restoring", "error_extending")
"""What Cinder deletes for who is no administrator, of the states that ours have."""
GIVEN_UP: Final = "error_deleting"
"""Of a volume or a snapshot that Cinder could not delete: it takes no deletion of it more."""


class Volume(msgspec.Struct, frozen=True):
    """A volume: its id, its name, Cinder's status, the instance of ours that owns it, its GiB.

    `server_ids` are the servers that have it, or are about to. One that outlives its instance,
    `kept_for` it because of its snapshots, has no owner any more.
    """

    id: str
    name: str
    status: str
    owner: str | None
    size: int
    metadata: Mapping[str, str] = {}
    server_ids: tuple[str, ...] = ()
    kept_for: str | None = None


class VolumeType(msgspec.Struct, frozen=True):
    """A kind of volume; one that is not public is for the projects it was given to."""

    id: str
    name: str
    public: bool


@cloud_call
def find_type(name_or_id: str) -> VolumeType | None:
    """The volume type of that id or name that the service sees, or None."""
    for raw in connection().block_storage.types(is_public="None"):  # private ones too
        if name_or_id in (raw.id, raw.name):
            return VolumeType(id=raw.id, name=raw.name, public=bool(raw.is_public))
    return None


@cloud_call
def get_type_projects(type_id: str) -> frozenset[str]:
    """The projects that a private type was given to; none when the service may not know."""
    from openstack.exceptions import ForbiddenException

    try:
        found = connection().block_storage.get_type_access(type_id)
    except ForbiddenException:
        return frozenset()
    return frozenset(each["project_id"] for each in found)


@cloud_call
def find(instance_id: str, *, kept: bool = False) -> list[Volume]:
    """The volumes of an instance, oldest first; with `kept` also what outlives it."""
    name = names.volume(instance_id)
    raw = connection().block_storage.volumes(details=True, name=name)
    ordered = sorted(raw, key=lambda volume: (volume.created_at or "", volume.id))
    found = [_volume(each) for each in ordered if each.name == name]
    return [
        each
        for each in found
        if each.owner == instance_id or (kept and each.kept_for == instance_id)
    ]


@cloud_call
def page(after: str | None, limit: int) -> list[Volume]:
    """A page of the volumes that the service's project has, whoever made them."""
    raw = connection().block_storage.volumes(
        details=True, marker=after, limit=limit, paginated=False
    )
    return [_volume(each) for each in raw]


@cloud_call
def get(volume_id: str) -> Volume | None:
    """The volume, or None."""
    from openstack.exceptions import NotFoundException

    try:
        return _volume(connection().block_storage.get_volume(volume_id))
    except NotFoundException:
        return None


@cloud_call
def create(
    name: str,
    *,
    size_gib: int,
    volume_type: str | None,
    availability_zone: str | None,
    metadata: Mapping[str, str],
    snapshot_id: str | None = None,
) -> Volume:
    """Ask for a volume, with what a snapshot holds if one is named; it is `creating` at first."""
    wanted = {
        "name": name,
        "size": size_gib,
        "volume_type": volume_type,
        "availability_zone": availability_zone,
        "metadata": dict(metadata),
        "snapshot_id": snapshot_id,
    }
    given = {key: value for key, value in wanted.items() if value is not None}
    return _volume(connection().block_storage.create_volume(**given))


@cloud_call
def extend(volume_id: str, size_gib: int) -> None:
    """Ask for a volume to grow, attached or not; it is `extending` at first.

    One that is attached is `InUse` for a Cinder whose API is older than 3.42, or whose policy says
    so. A backend that cannot leaves it as it was, in-use: Cinder has accepted it by then.
    """
    connection().block_storage.extend_volume(volume_id, size_gib)


@cloud_call
def keep(volume_id: str) -> None:
    """Mark a volume whose instance goes as one that stays until its last snapshot is deleted."""
    connection().block_storage.set_volume_metadata(volume_id, **{names.KEPT_KEY: "true"})


@cloud_call
def reclaim(volume_id: str) -> None:
    """Take that mark from one that its instance uses again; one without it is fine."""
    from openstack.exceptions import NotFoundException

    with contextlib.suppress(NotFoundException):
        connection().block_storage.delete_volume_metadata(volume_id, [names.KEPT_KEY])


@cloud_call
def delete(volume_id: str) -> None:
    """Ask for a volume to be deleted; one that is gone is fine."""
    connection().block_storage.delete_volume(volume_id, ignore_missing=True)


def _volume(raw: Any) -> Volume:
    own = raw.project_id == own_project()
    metadata = dict(raw.metadata or {})
    marked = names.marked_in_metadata(metadata) if own else None
    kept = names.KEPT_KEY in metadata
    return Volume(
        id=raw.id,
        name=raw.name or "",
        status=raw.status,
        owner=None if kept else marked,
        size=int(raw.size),
        metadata=metadata,
        server_ids=tuple(each["server_id"] for each in raw.attachments or ()),
        kept_for=marked if kept else None,
    )
