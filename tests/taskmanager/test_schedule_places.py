"""Where the backups of schedules go: nobody asks for them, so that nobody has a token."""

from __future__ import annotations

from chalicelib.domain.containers import Container
from chalicelib.store import archives, instances, schedules, strategies
from chalicelib.store.models import BackupSchedule, Instance
from chalicelib.taskmanager import schedules as runs
from tests.support.rows import WHO
from tests.taskmanager.test_schedules import Fleet, made, stored
from tests.taskmanager.test_schedules import fleet as fleet  # a fixture

ALL = Container("https://swift/v1/AUTH_x/all", 1)
OWN = Container("https://swift/v1/AUTH_x/own", 2)


def places(instance: Instance) -> list[tuple[str | None, float | None]]:
    return [(each.container_url, each.container_key) for each in made(instance)]


def test_a_strategy_says_where_and_a_chain_stays_where_it_has_begun(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, full_every=2)
    fleet.come(row)
    fleet.end()
    strategies.of_project(instance.tenant_id, ALL)
    for _ in range(3):
        fleet.come(row)
        fleet.end()
    strategies.of_instance(instance, OWN)
    for _ in range(2):
        fleet.come(row)
        fleet.end()
    own, everybodys, ours = (OWN.url, OWN.key), (ALL.url, ALL.key), (None, None)
    assert places(instance) == [ours, ours, everybodys, everybodys, own, own]
    assert [each.parent_id is None for each in made(instance)] == [True, False] * 3


def test_what_the_log_is_to_go_on_from_lies_where_the_log_lies(fleet: Fleet) -> None:
    """Whatever a strategy says, before and after, and whatever the chain lies in."""
    instance = fleet.instance()
    strategies.of_instance(instance, OWN)
    row = fleet.schedule(instance, full_every=9)
    fleet.come(row)
    fleet.end()
    assert schedules.change(stored(row), {"point_in_time": True}, WHO)
    for _ in range(2):
        fleet.come(row)
        fleet.end()
    strategies.of_project(instance.tenant_id, ALL)
    fleet.come(row)
    fleet.end()
    assert places(instance) == [(OWN.url, OWN.key), *[(None, None)] * 3]
    assert [len(each.parents) for each in made(instance)] == [0, 0, 1, 2]
    assert schedules.change(stored(row), {"point_in_time": False}, WHO)
    fleet.come(row)
    assert made(instance)[-1].parents, "the chain goes on where it is"


def test_a_schedule_that_is_off_archives_no_log(fleet: Fleet) -> None:
    """It makes no backup that the log could go on from, and gives none up."""
    instance = fleet.instance()
    row = fleet.schedule(instance, point_in_time=True)
    first = instances.get_instance(instance.id).archive_id
    assert first is not None
    assert schedules.change(stored(row), {"enabled": False}, WHO)
    assert instances.get_instance(instance.id).archive_id is None
    ended = archives.find_archive(first)
    assert ended is not None
    assert (ended.state, ended.reason) == ("ended", schedules.OFF)
    assert schedules.change(stored(row), {"enabled": True}, WHO)
    assert instances.get_instance(instance.id).archive_id not in (None, first)
    off = fleet.instance()
    fleet.schedule(off, point_in_time=True, enabled=False)
    assert instances.get_instance(off.id).archive_id is None


def test_a_log_that_an_older_release_archives_on_ends_with_the_next_look(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, point_in_time=True)
    stored(row).update(actions=[BackupSchedule.enabled.set(False), BackupSchedule.next_at.remove()])
    assert runs.look(row.id) == "nothing"
    assert instances.get_instance(instance.id).archive_id is None
    assert runs.look(row.id) == "nothing", "nothing is left to end"
    assert stored(row).due_at > fleet.world.now + 3600.0
