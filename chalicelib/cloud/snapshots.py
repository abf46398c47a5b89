"""Cinder snapshots of data volumes: each is a backup's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chalicelib.cloud import names
from chalicelib.cloud.session import cloud_call, connection, own_project

DELETABLE: Final = ("available", "error")
"""Those in which Cinder takes a deletion of somebody who is no administrator."""
PASSING: Final = ("creating", "available", "error", "deleting")
"""Those that become another one by themselves, or by a deletion."""


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot: its id, its name, Cinder's status, its GiB, and the volume that it is of.

    `owner` is the backup of ours that it is; `instance_id` is what that is of.
    """

    id: str
    name: str
    status: str
    owner: str | None
    size: int
    volume_id: str
    instance_id: str = ""
    metadata: Mapping[str, str] = {}


@cloud_call
def find(backup_id: str) -> list[Snapshot]:
    """The snapshots of a backup, oldest first: one, unless an unknown result has left two."""
    name = names.snapshot(backup_id)
    raw = connection().block_storage.snapshots(details=True, name=name)
    ordered = sorted(raw, key=lambda each: (each.created_at or "", each.id))
    return [each for each in map(_snapshot, ordered) if each.owner == backup_id]


@cloud_call
def of_volume(volume_id: str) -> list[Snapshot]:
    """The snapshots of a volume, whoever made them: it cannot go before them."""
    return [
        _snapshot(each)
        for each in connection().block_storage.snapshots(details=True, volume_id=volume_id)
    ]


@cloud_call
def page(after: str | None, limit: int) -> list[Snapshot]:
    """A page of the snapshots that the service's project has, whoever made them."""
    raw = connection().block_storage.snapshots(
        details=True, marker=after, limit=limit, paginated=False
    )
    return [_snapshot(each) for each in raw]


@cloud_call
def create(name: str, *, volume_id: str, metadata: Mapping[str, str]) -> Snapshot:
    """Ask for a snapshot of a volume that may be in a server; it is `creating` at first."""
    return _snapshot(
        connection().block_storage.create_snapshot(
            name=name, volume_id=volume_id, metadata=dict(metadata), is_forced=True
        )
    )


@cloud_call
def delete(snapshot_id: str) -> None:
    """Ask for a snapshot to be deleted; one that is gone is fine."""
    connection().block_storage.delete_snapshot(snapshot_id, ignore_missing=True)


def _snapshot(raw: Any) -> Snapshot:
    # Only who lists the snapshots of all projects is shown those of others.
    own = raw.project_id in (None, own_project())
    metadata = dict(raw.metadata or {})
    return Snapshot(
        id=raw.id,
        name=raw.name or "",
        status=raw.status,
        owner=names.backup_in_metadata(metadata) if own else None,
        size=int(raw.size),
        volume_id=raw.volume_id,
        instance_id=metadata.get(names.INSTANCE_KEY, ""),
        metadata=metadata,
    )
