"""Snapshots: of a volume that is in use, what is made of them, and what they keep from going."""

from __future__ import annotations

import uuid

from chalicelib.cloud import errors, names, snapshots, volumes
from tests.cloud.contract.asked import Asked, refused
from tests.cloud.contract.people import until


def taken(asked: Asked, volume_id: str) -> snapshots.Snapshot:
    """A snapshot that is available."""
    backup_id = str(uuid.uuid4())
    marks = names.snapshot_metadata(backup_id, asked.instance_id, "a-tenant")
    made = snapshots.create(names.snapshot(backup_id), volume_id=volume_id, metadata=marks)
    assert (made.owner, made.instance_id) == (backup_id, asked.instance_id)

    def available() -> bool:
        (found,) = snapshots.find(backup_id)
        assert (found.id, found.volume_id, found.size) == (made.id, volume_id, 2)
        assert found.owner == backup_id
        return found.status == "available"

    until(available, "the snapshot is available")
    return made


def gone(made: snapshots.Snapshot) -> None:
    snapshots.delete(made.id)
    until(lambda: not snapshots.find(str(made.owner)), "the snapshot is gone")
    snapshots.delete(made.id)  # one that is gone is fine


def test_a_volume_stays_as_long_as_its_snapshots(asked: Asked) -> None:
    disk = asked.volume(2)
    first, second = taken(asked, disk.id), taken(asked, disk.id)
    assert {each.id for each in snapshots.of_volume(disk.id)} == {first.id, second.id}
    assert {first.id, second.id} <= {each.id for each in snapshots.page(None, 100)}
    assert type(refused(lambda: volumes.delete(disk.id))) is errors.CloudAway
    volumes.keep(disk.id)
    assert volumes.find(asked.instance_id) == []  # nobody's any more, but of who asks for it
    (kept,) = volumes.find(asked.instance_id, kept=True)
    assert (kept.id, kept.owner, kept.kept_for) == (disk.id, None, asked.instance_id)
    for _ in range(2):
        volumes.reclaim(disk.id)  # and one that is nobody's is its instance's once more
        assert [each.id for each in volumes.find(asked.instance_id)] == [disk.id]
    assert volumes.get(disk.id) == volumes.find(asked.instance_id)[0]
    volumes.reclaim(str(uuid.uuid4()))
    volumes.keep(disk.id)
    gone(first)
    assert type(refused(lambda: volumes.delete(disk.id))) is errors.CloudAway
    gone(second)
    assert snapshots.of_volume(disk.id) == []
    volumes.delete(disk.id)
    until(lambda: asked.status_of(disk.id) is None, "the volume is gone")


def test_a_volume_is_made_of_a_snapshot_that_is_no_larger(asked: Asked) -> None:
    disk = asked.volume(2)
    made = taken(asked, disk.id)
    error = refused(lambda: asked.volume(1, snapshot_id=made.id))
    assert (type(error), "smaller" in str(error)) == (errors.Refused, True)
    bigger = asked.volume(3, snapshot_id=made.id)
    assert (bigger.size, asked.status_of(bigger.id)) == (3, "available")
    volumes.delete(bigger.id)
    until(lambda: asked.status_of(bigger.id) is None, "the volume of it is gone")
    gone(made)


def test_what_cinder_could_not_delete_is_deleted_behind_an_administrator(asked: Asked) -> None:
    disk = asked.volume(2)
    made, storage = taken(asked, disk.id), asked.admin.block_storage
    storage.reset_snapshot_status(made.id, volumes.GIVEN_UP)
    assert volumes.GIVEN_UP not in snapshots.DELETABLE
    refused(lambda: snapshots.delete(made.id))
    storage.reset_snapshot_status(made.id, "error")
    gone(made)
    storage.reset_volume_status(disk.id, status=volumes.GIVEN_UP)
    assert volumes.GIVEN_UP not in volumes.DELETABLE
    refused(lambda: volumes.delete(disk.id))
    for status in volumes.DELETABLE[1:]:
        storage.reset_volume_status(disk.id, status=status)
    volumes.delete(disk.id)
    until(lambda: asked.status_of(disk.id) is None, "the volume is gone")


def test_a_snapshot_is_made_below_a_server(asked: Asked) -> None:
    (volume_id,) = asked.server(2).volumes
    made = taken(asked, volume_id)
    assert asked.status_of(volume_id) == "in-use"
    gone(made)


def test_a_snapshot_of_nothing_is_refused_for_good(asked: Asked) -> None:
    backup_id = str(uuid.uuid4())
    marks = names.snapshot_metadata(backup_id, asked.instance_id, "a-tenant")
    nothing = str(uuid.uuid4())
    error = refused(lambda: snapshots.create("s", volume_id=nothing, metadata=marks))
    assert type(error) is errors.Refused
    assert type(refused(lambda: asked.volume(1, snapshot_id=nothing))) is errors.Refused
    assert snapshots.find(backup_id) == []
