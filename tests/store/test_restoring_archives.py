"""After a restore of tables no log is archived that no schedule wants."""

from __future__ import annotations

import pytest

from chalicelib.domain.archives import State
from chalicelib.lifecycle import Status
from chalicelib.store import archives, instances, restoring_archives, schedules
from chalicelib.store.base import ConditionFailed
from chalicelib.store.models import Archive, BackupSchedule, Instance
from tests.support.bare import World
from tests.support.rows import WHO, new_instance


@pytest.fixture
def instance(plain_world: World) -> Instance:
    """One whose log is archived for a schedule."""
    row = new_instance(status=Status.ACTIVE)
    row.save()
    values = {"name": "s", "time_zone": "UTC", "full_every": 1, "interval_hours": 24}
    made = schedules.new_schedule(row, values | {"point_in_time": True})
    assert schedules.create(made, WHO)
    return now(row)


def now(row: Instance) -> Instance:
    return instances.get_instance(row.id)


def archive_of(row: Instance) -> Archive:
    found = archives.find_archive(row.archive_id or "")
    assert found is not None
    return found


def mended(row: Instance) -> str:
    told, archive = restoring_archives.wrong(row) or ("", None)
    restoring_archives.mend(row, told, archive)
    assert restoring_archives.wrong(now(row)) is None
    return told


def test_one_that_a_schedule_wants_is_right(instance: Instance) -> None:
    assert restoring_archives.wrong(instance) is None


def test_one_whose_schedule_was_deleted_since_ends(instance: Instance) -> None:
    archive = archive_of(instance)
    BackupSchedule(archive.schedule_id).delete()
    assert mended(instance) == "no schedule wants its log"
    assert now(instance).archive_id is None
    ended = archives.find_archive(archive.id)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.ENDED, restoring_archives.UNWANTED)


def test_one_that_was_turned_off_since_ends(instance: Instance) -> None:
    row = schedules.get_schedule(archive_of(instance).schedule_id)
    row.update(actions=[BackupSchedule.point_in_time.set(False)])
    assert mended(instance) == "no schedule wants its log"


def test_one_that_is_lost_makes_room_for_another(instance: Instance) -> None:
    schedule_id = archive_of(instance).schedule_id
    archive_of(instance).delete()
    assert mended(instance) == "the archive of its log is lost"
    archives.settle(now(instance), schedule_id)
    assert archive_of(now(instance)).schedule_id == schedule_id


def test_one_that_its_instance_does_not_know_ends(instance: Instance) -> None:
    """Its schedule begins another one; this one is removed when no backup needs it any more."""
    row = archive_of(instance)
    assert restoring_archives.nobodys(row) is None
    instance.update(actions=[Instance.archive_id.remove()])
    found = restoring_archives.nobodys(row)
    assert found is not None
    restoring_archives.end(row, *found)
    ended = archives.find_archive(row.id)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.ENDED, restoring_archives.UNKNOWN)
    assert restoring_archives.nobodys(ended) is None


def test_one_whose_instance_is_lost_ends(instance: Instance) -> None:
    row = archive_of(instance)
    instance.delete()
    assert restoring_archives.nobodys(row) is not None


def test_one_that_has_got_its_key_meanwhile_goes_on(instance: Instance) -> None:
    row = archive_of(instance)
    archives.seal(row, "sealed")
    row.sealed_key = None
    with pytest.raises(ConditionFailed):
        archives.end(row, "It has none.", empty=False)


def test_one_that_has_another_archive_by_then_is_left_alone(instance: Instance) -> None:
    archive_of(instance).delete()
    found = restoring_archives.wrong(instance)
    assert found is not None
    now(instance).update(actions=[Instance.archive_id.set("another")])
    with pytest.raises(ConditionFailed):
        restoring_archives.mend(instance, *found)
