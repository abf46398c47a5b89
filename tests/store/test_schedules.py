"""Rows of schedules: listed by tenant and instance, and changed by one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from chalicelib import errors
from chalicelib.domain.archives import State
from chalicelib.store import archives, instances, schedules
from chalicelib.store.models import BackupSchedule, Instance
from chalicelib.store.schedules import Due
from tests.support.rows import TENANT, WHO, new_instance

pytestmark = pytest.mark.usefixtures("plain_world")
DAILY: Final[dict[str, Any]] = {"name": "daily", "time_zone": "UTC", "interval_hours": 24}


def made(instance: Instance, **values: Any) -> BackupSchedule:
    row = schedules.new_schedule(instance, DAILY | values)
    schedules.create(row, WHO)
    return row


def now(row: BackupSchedule) -> BackupSchedule:
    found = schedules.find_schedule(row.id)
    assert found is not None
    return found


def plain(row: BackupSchedule) -> dict[str, Any]:
    return dict(now(row).attribute_values)


def pages(instance_id: str | None, limit: int, marker: str | None = None) -> list[list[str]]:
    """The ids of each page."""
    found, ids = schedules.of_tenant(TENANT, instance_id, limit, marker), []
    ids.append([row.id for row in found.rows])
    return ids + (pages(instance_id, limit, found.marker) if found.marker else [])


def test_a_tenants_schedules_are_listed_instance_by_instance_a_page_at_a_time() -> None:
    one, other = sorted((new_instance() for _ in range(2)), key=lambda row: row.id)
    mine = [sorted(made(each).id for _ in range(3)) for each in (one, other)]
    made(new_instance("tenant-2"))
    assert pages(None, 2) == [mine[0][:2], [mine[0][2], mine[1][0]], mine[1][1:]]
    assert pages(one.id, 2) == [mine[0][:2], mine[0][2:]]
    assert pages(other.id, 10) == [mine[1]]
    assert pages(None, 10, marker=f"{one.id}/~") == [mine[1]], "the row of a marker may be gone"
    assert pages(one.id, 10, marker=f"{other.id}/") == [[]], "it is behind all of them"
    assert pages("é", 10) == pages("none", 10) == [[]]


def test_an_instance_has_so_many_or_not() -> None:
    instance = new_instance()
    for _ in range(2):
        made(instance)
    assert [schedules.are_there(instance, number) for number in (1, 2, 3)] == [True, True, False]


def test_it_is_its_tenants_and_an_administrators_alone() -> None:
    row = made(new_instance())
    assert schedules.get_schedule(row.id, TENANT).id == schedules.get_schedule(row.id).id == row.id
    for schedule_id, tenant_id in ((row.id, "tenant-2"), ("none", None)):
        with pytest.raises(errors.NotFound):
            schedules.get_schedule(schedule_id, tenant_id)


def test_what_is_due_is_told_to_one_who_asks() -> None:
    row = made(new_instance())
    assert schedules.due_schedules(row.due_at - 1, 10) == []
    (due,) = schedules.due_schedules(row.due_at, 10)
    assert due == Due(row.id, row.due_at)
    assert [schedules.claim(due, row.due_at + 60) for _ in range(2)] == [True, False]
    assert now(row).due_at == row.due_at + 60
    row.delete()
    assert not schedules.claim(Due(row.id, row.due_at + 60), row.due_at + 120), "nor is it made"
    assert schedules.find_schedule(row.id) is None


LOOKS: Final[list[Callable[[BackupSchedule], None]]] = [
    lambda row: schedules.look_again(row, 1.9e9),
    lambda row: schedules.wait(row, 1.9e9, "busy"),
    lambda row: schedules.miss(row, 1.9e9, 1.9e9, "busy"),
]


@pytest.mark.parametrize("look", LOOKS, ids=["again", "wait", "miss"])
@pytest.mark.parametrize("enabled", [True, False])
def test_who_looks_writes_what_was_read_and_nothing_over_a_change(
    look: Callable[[BackupSchedule], None], *, enabled: bool
) -> None:
    row = made(new_instance(), enabled=enabled)
    read = now(row)
    look(read)
    assert now(row).due_at == 1.9e9
    assert schedules.change(now(row), {"interval_hours": 12, "enabled": True}, WHO)
    changed = plain(row)
    look(read)
    assert plain(row) == changed
    now(row).delete()
    look(read)
    assert schedules.find_schedule(row.id) is None


def test_of_two_changes_of_one_reading_the_first_is_made() -> None:
    row = made(new_instance())
    one, other = now(row), now(row)
    assert schedules.change(one, {"keep_count": 3}, WHO)
    assert not schedules.change(other, {"keep_count": 4}, WHO)
    assert (now(row).keep_count, now(row).revision) == (3, 2)
    assert schedules.delete(now(row), WHO)
    assert not schedules.delete(one, WHO)


def test_a_log_is_archived_while_one_schedule_wants_it() -> None:
    instance = new_instance()
    instance.save()
    row, other = made(instance), made(instance)
    assert schedules.change(now(row), {"point_in_time": True}, WHO)
    archive = archives.find_archive(str(instances.get_instance(instance.id).archive_id))
    assert archive is not None
    assert (archive.schedule_id, archive.state) == (row.id, State.NEW)
    with pytest.raises(errors.Conflict):
        schedules.change(now(other), {"point_in_time": True}, WHO)
    assert schedules.change(now(other), {"point_in_time": False}, WHO), "it never was"
    assert instances.get_instance(instance.id).archive_id == archive.id
    assert schedules.change(now(row), {"point_in_time": False}, WHO)
    assert instances.get_instance(instance.id).archive_id is None
    ended = archives.find_archive(archive.id)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.ENDED, "It was turned off.")
