"""Cinder volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from chalicelib.cloud.session import cloud_call, connection

DELETABLE: Final = ("available", "error", "error_deleting", "error_restoring", "error_extending")


class Volume(msgspec.Struct, frozen=True):
    """A volume: its id, its name and Cinder's status."""

    id: str
    name: str
    status: str


@cloud_call
def find(name: str) -> list[Volume]:
    """The volumes of that name, oldest first."""
    found = connection().block_storage.volumes(details=True, name=name)
    ordered = sorted(found, key=lambda volume: (volume.created_at or "", volume.id))
    return [_volume(each) for each in ordered if each.name == name]


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
) -> Volume:
    """Ask for a volume; it is `creating` at first."""
    wanted = {
        "name": name,
        "size": size_gib,
        "volume_type": volume_type,
        "availability_zone": availability_zone,
        "metadata": dict(metadata),
    }
    given = {key: value for key, value in wanted.items() if value is not None}
    return _volume(connection().block_storage.create_volume(**given))


@cloud_call
def delete(volume_id: str) -> None:
    """Ask for a volume to be deleted; one that is gone is fine."""
    connection().block_storage.delete_volume(volume_id, ignore_missing=True)


@cloud_call
def list_all(prefix: str) -> list[Volume]:
    """All volumes of the service's project whose names begin with the prefix."""
    found = connection().block_storage.volumes(details=False)
    return [
        Volume(each.id, each.name, "") for each in found if (each.name or "").startswith(prefix)
    ]


def _volume(raw: object) -> Volume:
    return msgspec.convert(raw, Volume, from_attributes=True)
