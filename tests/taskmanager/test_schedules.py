"""Schedules of backups at work: each slot is run once, whoever dies, and what is kept is whole.

There are no guests here: a test ends what was begun, and moves the clock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import PynamoDBException

from chalicelib.domain.operations import OperationStatus
from chalicelib.domain.schedules import begins_at
from chalicelib.errors import Conflict
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from chalicelib.store import (
    accepting,
    backups,
    events,
    instances,
    making_backups,
    quotas,
    schedules,
)
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import (
    Backup,
    BackupSchedule,
    Instance,
    Operation,
    Quota,
    ServiceStatusRow,
)
from chalicelib.store.subjects import cancel
from chalicelib.taskmanager import dispatcher
from chalicelib.taskmanager import schedules as runs
from tests.support.bare import Fault, World, fresh
from tests.support.rows import TENANT, WHO, create_operation, new_instance

HOUR: Final = 3600.0
DAY: Final = 86400.0
INTERVAL: Final = BackupSchedule.interval_hours
MADE_BY: Final = "create_backup"
MADE: Final = {"checksum": "ab" * 32, "size": 1, "data_size": 1}


class Machines:
    """Step Functions as far as it is asked: which executions were started."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start_execution(self, *, name: str, **_: str) -> None:
        """Remember it."""
        self.started.append(name)


class Fleet:
    """Instances that run, and time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.machines = Machines()
        world.clients["stepfunctions"] = self.machines

    def instance(self, **changes: Any) -> Instance:
        """One that is heard."""
        row = new_instance(**{"status": Status.ACTIVE, **changes})
        row.save()
        self.hear(row)
        return row

    def hear(self, row: Instance) -> None:
        """Its guest reports."""
        ServiceStatusRow(row.id, generation=1, status="healthy", updated=self.world.now).save()

    def schedule(self, instance: Instance, **values: Any) -> BackupSchedule:
        given = {"name": "daily", "time_zone": "UTC", "full_every": 1, "interval_hours": 24}
        row = schedules.new_schedule(instance, given | values)
        assert schedules.create(row, WHO)
        return row

    def minute(self) -> int:
        """What the sweeper does, and the dispatcher with what it was told; how many looks."""
        del self.world.bodies[:]
        told = runs.tell_due(self.world.now + 17)
        for body in list(self.world.bodies):
            dispatcher.receive(body)
        return told

    def until(self, when: float) -> None:
        """Let time pass, with a sweep whenever something is due; what was begun ends well."""
        while (due := min((row.due_at for row in BackupSchedule.scan()), default=when)) < when:
            self.world.run_until(max(due, self.world.now + 1))
            for row in ServiceStatusRow.scan():
                row.update(actions=[ServiceStatusRow.updated.set(self.world.now)])
            self.minute()
            self.end()
        self.world.run_until(when)

    def end(self, status: OperationStatus = OperationStatus.SUCCEEDED) -> None:
        """Let all end that is under way."""
        for operation in Operation.scan(Operation.live.exists()):
            if operation.action == "create_backup":
                operation.update(actions=[Operation.resources["backup"].set(MADE)])
            end_operation(operation, Ending(status, "" if status == "SUCCEEDED" else "No."))

    def come(self, row: BackupSchedule) -> None:
        """Let its time come, and what begins then end."""
        at = begin_of(row)
        self.world.run_until(at + 1)
        self.hear(Instance(row.instance_id))
        self.minute()


@pytest.fixture
def fleet(plain_world: World) -> Fleet:
    return Fleet(plain_world)


def stored(row: BackupSchedule) -> BackupSchedule:
    found = schedules.find_schedule(row.id)
    assert found is not None
    return found


def made(instance: Instance) -> list[Backup]:
    """Its backups, the oldest first."""
    return backups.all_of(instance.id)[::-1]


def begin_of(row: BackupSchedule) -> float:
    now = stored(row)
    assert now.next_at is not None
    return begins_at(now, now.next_at)


def slot_of(row: BackupSchedule) -> float:
    assert row.next_at is not None
    return row.next_at


def kinds(instance: Instance) -> list[str]:
    return [each.kind for each in events.events_of(instance.id)]


def live(instance: Instance) -> list[Operation]:
    return list(Operation.scan(Operation.live.exists() & (Operation.subject_id == instance.id)))


def become(instance: Instance, status: str) -> None:
    instances.get_instance(instance.id).update(actions=[Instance.status.set(status)])


def test_a_backup_is_begun_at_its_time_and_says_who_asked(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance)
    fleet.world.run_until(begin_of(row) - 1)
    fleet.minute()
    assert made(instance) == []
    fleet.come(row)
    (backup,) = made(instance)
    assert (backup.status, backup.schedule_id) == (BackupStatus.NEW, row.id)
    assert backup.name.startswith("daily-20")
    after = stored(row)
    assert (after.next_at, after.last_backup_id) == (slot_of(row) + DAY, backup.id)
    (operation,) = live(instance)
    assert operation.action == "create_backup"
    assert operation.user_id == f"backup-schedule:{row.id}"
    assert fleet.machines.started == [operation.id]
    assert instances.get_instance(instance.id).status == Status.BACKUP
    assert quotas.used_of(quotas.get_quota(TENANT))["backups"] == 1
    assert fleet.minute() == 0, "nothing is due twice"


def test_a_hint_that_is_lost_is_told_again(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance)
    fleet.world.run_until(begin_of(row) + 1)
    assert runs.tell_due(fleet.world.now + 17) == 1
    assert runs.tell_due(fleet.world.now + 17) == 0, "somebody has been told"
    fleet.world.run(runs.CLAIM_SECONDS + 1)
    fleet.hear(instance)
    assert fleet.minute() == 1
    assert len(made(instance)) == 1


def due_now(world: World, **values: Any) -> tuple[Fleet, Instance, BackupSchedule]:
    """A schedule whose run is to begin, of an instance with two backups of its own."""
    fleet = Fleet(world)
    instance = fleet.instance()
    row = fleet.schedule(instance, **{"full_every": 1, "keep_count": 1, **values})
    for _ in range(2):
        fleet.come(row)
        fleet.end()
    fleet.world.run_until(begin_of(row) + 1)
    fleet.hear(instance)
    return fleet, instance, stored(row)


@pytest.mark.parametrize("fault", list(Fault))
def test_whichever_call_fails_each_slot_has_one_run_in_the_end(fault: Fault) -> None:
    with fresh() as world:
        _, _, row = due_now(world)
        world.log.clear()
        assert runs.look(row.id) == "started"
        calls = len(world.log)
    assert calls >= 10
    for number in range(1, calls + 1):
        with fresh() as world:
            fleet, instance, row = due_now(world)
            world.log.clear()
            world.faults = {number: fault}
            with contextlib.suppress(PynamoDBException, ClientError):
                runs.look(row.id)
            world.faults = {}
            for _ in range(3):
                world.run(runs.CLAIM_SECONDS + 1)
                fleet.hear(instance)
                fleet.minute()
                fleet.end()
            of_slot = [each for each in made(instance) if each.created > slot_of(row)]
            assert len(of_slot) == 1, f"{fault.name} of call {number}"
            assert stored(row).next_at == slot_of(row) + DAY
            assert len(made(instance)) <= 2, "what is not kept goes all the same"


def dies_after(world: World, call: int, work: Callable[[], object]) -> bool:
    """Do something, and die right after the call of that number; False when it had no such one."""

    class Died(BaseException):
        """The process is gone."""

    class Killer:
        """Counts."""

        seen = 0

        def before(self, _: object) -> None:
            if self.seen == call:
                raise Died
            self.seen += 1

        def after(self, _: object) -> None: ...

    killer = Killer()
    world.effects.hooks.append(killer)
    try:
        work()
    except Died:
        return True
    finally:
        world.effects.hooks.remove(killer)
    return False


def test_whoever_dies_between_two_calls_a_slot_has_one_run() -> None:
    call = 0
    died = True
    while died:
        with fresh() as world:
            fleet, instance, row = due_now(world)
            died = dies_after(world, call, fleet.minute)
            for _ in range(3):
                world.run(runs.CLAIM_SECONDS + 1)
                fleet.hear(instance)
                fleet.minute()
                fleet.end()
            of_slot = [each for each in made(instance) if each.created > slot_of(row)]
            assert len(of_slot) == 1, f"died after call {call}"
        call += 1
    assert call > 12


def test_two_who_look_at_once_begin_one_run(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance)
    fleet.world.run_until(begin_of(row) + 1)
    fleet.hear(instance)
    fleet.world.interruptions["dynamodb.TransactWriteItems"] = lambda: runs.look(row.id)
    assert runs.look(row.id) == "raced"
    assert len(made(instance)) == len(live(instance)) == 1


def test_a_change_between_the_look_and_the_run_wins(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance)
    fleet.world.run_until(begin_of(row) + 1)
    fleet.hear(instance)
    fleet.world.interruptions["dynamodb.TransactWriteItems"] = lambda: schedules.change(
        stored(row), {"enabled": False}, WHO
    )
    assert runs.look(row.id) == "raced"
    assert made(instance) == []
    assert instances.get_instance(instance.id).status == Status.ACTIVE
    assert runs.look(row.id) == "nothing"


@pytest.mark.parametrize("values", [{"name": "other"}, {"keep_count": 3}, {"enabled": True}])
def test_a_change_that_was_read_before_the_run_has_no_slot_run_twice(
    fleet: Fleet, values: dict[str, Any]
) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance)
    fleet.world.run_until(begin_of(row) + 1)
    fleet.hear(instance)
    read = stored(row)
    assert runs.look(row.id) == "started"
    fleet.end()
    if not schedules.change(read, values, WHO):
        assert schedules.change(stored(row), values, WHO)
    assert runs.look(row.id) == "looked"
    assert len(made(instance)) == 1


@pytest.mark.parametrize(
    "values", [{"enabled": True}, {"interval_hours": 24, "cron": None}, {"time_zone": "UTC"}]
)
def test_times_that_are_given_as_they_are_leave_the_slot_that_waits(
    fleet: Fleet, values: dict[str, Any]
) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance)
    fleet.world.run_until(begin_of(row) + 1)
    become(instance, Status.REBOOT)
    assert runs.look(row.id) == "waits"
    assert schedules.change(stored(row), values, WHO)
    assert "REBOOT" in (stored(row).reason or "")
    become(instance, Status.ACTIVE)
    fleet.hear(instance)
    assert runs.look(row.id) == "started"


@pytest.mark.parametrize(
    ("spoil", "mend", "said"),
    [
        ({"status": Status.REBOOT}, {"status": Status.ACTIVE}, "instance status was REBOOT"),
        ({"operation_id": "1"}, {"operation_id": None}, "Another operation"),
    ],
)
def test_a_busy_instance_is_waited_for_within_the_slot(
    fleet: Fleet, spoil: dict[str, Any], mend: dict[str, Any], said: str
) -> None:
    instance = fleet.instance(**spoil)
    row = fleet.schedule(instance)
    fleet.come(row)
    waiting = stored(row)
    assert said in str(waiting.reason)
    assert waiting.next_at == row.next_at
    assert made(instance) == []
    Instance(**{**instances.get_instance(instance.id).attribute_values, **mend}).save()
    fleet.world.run_until(waiting.due_at + 1)
    fleet.hear(instance)
    fleet.minute()
    assert len(made(instance)) == 1
    assert stored(row).reason is None
    assert "backup_schedule.missed" not in kinds(instance)


def test_a_guest_that_is_not_heard_and_a_quota_that_is_full_are_waited_for(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance)
    fleet.world.run_until(begin_of(row) + 1)
    fleet.minute()
    assert "is not ready" in str(stored(row).reason)
    quotas.get_quota(TENANT).update(actions=[Quota.limits.set({"backups": 0})])
    fleet.world.run_until(stored(row).due_at + 1)
    fleet.hear(instance)
    fleet.minute()
    assert "Quota exceeded" in str(stored(row).reason)
    quotas.get_quota(TENANT).update(actions=[Quota.limits.set({"backups": 1})])
    fleet.world.run_until(stored(row).due_at + 1)
    fleet.hear(instance)
    fleet.minute()
    assert len(made(instance)) == 1


def test_who_waits_long_is_looked_at_ever_less_often(fleet: Fleet) -> None:
    instance = fleet.instance(status=Status.STOPPED)
    row = fleet.schedule(instance)
    looks = 0
    fleet.world.run_until(begin_of(row) + 1)
    until = fleet.world.now + 6 * HOUR
    while fleet.world.now < until:
        looks += fleet.minute()
        fleet.world.run_until(stored(row).due_at + 1)
    assert looks < 40


def test_a_slot_that_passes_is_missed_and_its_instance_tells(fleet: Fleet) -> None:
    instance = fleet.instance(status=Status.STOPPED)
    row = fleet.schedule(instance, interval_hours=1)
    fleet.until(begin_of(row) + HOUR + 1000)
    missed = stored(row)
    assert slot_of(missed) == slot_of(row) + HOUR
    assert "instance status was STOPPED" in str(missed.reason)
    assert kinds(instance).count("backup_schedule.missed") == 1
    assert made(instance) == []


def test_what_an_outage_left_out_is_made_up_for_once(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, interval_hours=1)
    fleet.world.run(10.5 * HOUR)
    fleet.hear(instance)
    fleet.minute()
    fleet.end()
    fleet.world.run(61)
    assert fleet.minute() == 0
    assert len(made(instance)) == 1
    assert slot_of(stored(row)) == slot_of(row) + 10 * HOUR


def test_one_whose_instance_is_deleted_ends_within_a_day_and_its_backups_stay(
    fleet: Fleet,
) -> None:
    instance = fleet.instance()
    row, off = fleet.schedule(instance), fleet.schedule(instance, enabled=False)
    fleet.come(row)
    fleet.end()
    become(instance, Status.DELETED)
    fleet.until(fleet.world.now + DAY + HOUR)
    assert schedules.find_schedule(row.id) is None
    assert schedules.find_schedule(off.id) is None
    assert kinds(instance).count("backup_schedule.deleted") == 2
    assert [each.status for each in made(instance)] == [BackupStatus.COMPLETED]


def test_a_schedule_whose_instance_has_no_row_after_a_restore_stays(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance)
    Instance(instance.id).delete()
    fleet.world.run_until(begin_of(row) + 1)
    assert runs.look(row.id) == "nothing"
    assert stored(row).due_at > fleet.world.now + HOUR


def test_behind_one_that_failed_a_chain_begins(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, full_every=5)
    for status in ("SUCCEEDED", "SUCCEEDED", "FAILED", "SUCCEEDED", "SUCCEEDED"):
        fleet.come(row)
        fleet.end(OperationStatus(status))
    told = [(each.status, len(each.parents)) for each in made(instance)]
    assert told == [
        ("COMPLETED", 0),
        ("COMPLETED", 1),
        ("FAILED", 2),
        ("COMPLETED", 0),
        ("COMPLETED", 1),
    ]


def test_behind_one_that_is_damaged_a_chain_begins(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, full_every=9)
    for verdict in (None, "failed", None, None):
        fleet.come(row)
        fleet.end()
        if verdict is not None:
            Backup(made(instance)[-1].id).update(actions=[Backup.verdict.set(verdict)])
    assert [len(each.parents) for each in made(instance)] == [0, 1, 0, 1]
    Backup(made(instance)[2].id).update(actions=[Backup.verdict.set("failed")])
    fleet.come(row)
    assert made(instance)[-1].parents == [], "nor on what builds on it"


def test_behind_a_chain_that_is_being_deleted_another_begins(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, full_every=9)
    for _ in range(3):
        fleet.come(row)
        fleet.end()
    first = made(instance)[0]
    Backup(first.id).update(actions=[Backup.status.set("DELETING")])
    fleet.come(row)
    assert [len(each.parents) for each in made(instance)] == [0, 1, 2, 0]


def test_behind_an_increment_that_failed_a_full_one_comes_at_once(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, full_every=5)
    for status in ("SUCCEEDED", "FAILED"):
        fleet.come(row)
        fleet.end(OperationStatus(status))
    slot = slot_of(stored(row))
    assert fleet.minute() == 1
    *_, failed, full = made(instance)
    assert (failed.status, full.status, full.parents) == ("FAILED", "NEW", [])
    assert full.name == failed.name, "it is in its place"
    assert slot_of(stored(row)) == slot
    fleet.end(OperationStatus.FAILED)
    assert fleet.minute() == 0, "a full one that fails is not tried again before its slot"
    fleet.come(row)
    fleet.end()
    assert [each.status for each in made(instance)].count("FAILED") == 2
    assert len(made(instance)) == 4


def test_an_increment_that_is_asked_for_again_and_again_does_not_loop(fleet: Fleet) -> None:
    """Nor when the one that failed is gone: what it was built on cannot be built on."""
    instance = fleet.instance(status=Status.ACTIVE)
    row = fleet.schedule(instance, full_every=5)
    for status in ("SUCCEEDED", "FAILED"):
        fleet.come(row)
        fleet.end(OperationStatus(status))
    become(instance, Status.REBOOT)
    fleet.minute()
    waiting = stored(row)
    assert (waiting.again, waiting.next_at) == (made(instance)[-1].name, slot_of(waiting))
    assert "instance status was REBOOT" in str(waiting.reason)
    become(instance, Status.ACTIVE)
    Backup(made(instance)[-1].id).delete()
    fleet.world.run_until(waiting.due_at + 1)
    fleet.hear(instance)
    fleet.minute()
    assert [len(each.parents) for each in made(instance)] == [0, 0]
    assert stored(row).again is None


def test_one_that_somebody_cancelled_is_not_made_in_its_place(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, full_every=5)
    fleet.come(row)
    fleet.end()
    fleet.come(row)
    (operation,) = live(instance)
    assert cancel(instances.get_instance(instance.id), operation, "Not now.", WHO)
    fleet.end(OperationStatus.CANCELLED)
    assert fleet.minute() == 0
    assert [each.status for each in made(instance)] == ["COMPLETED", "FAILED"]


def test_a_schedule_that_is_gone_keeps_no_backup_from_ending(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, full_every=5)
    fleet.come(row)
    fleet.end()
    fleet.come(row)
    fleet.world.interruptions["dynamodb.TransactWriteItems"] = lambda: BackupSchedule(
        row.id
    ).delete()
    fleet.end(OperationStatus.FAILED)
    assert [each.status for each in made(instance)] == ["COMPLETED", "FAILED"]
    assert schedules.find_schedule(row.id) is None


def test_what_somebody_has_made_is_neither_built_on_nor_touched(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, full_every=9, keep_count=1)
    fleet.come(row)
    fleet.end()
    mine = making_backups.new_backup(instance, "mine", parent=made(instance)[0])
    operation = create_operation(instance)
    operation.action, operation.arguments = "create_backup", {"backup": mine.id}
    now = instances.get_instance(instance.id)
    assert accepting.accept(now, operation, beside=making_backups.making(mine))
    fleet.end()
    for _ in range(3):
        fleet.come(row)
        fleet.end()
    fleet.until(fleet.world.now + HOUR)
    told = {each.id: len(each.parents) for each in made(instance)}
    assert told[mine.id] == 1
    assert sorted(told.values()) == [0, 0, 1, 1, 2], "its chain is whole, and a new one was begun"


def test_what_a_restore_reads_stays_until_that_has_ended(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, keep_count=1)
    fleet.come(row)
    fleet.end()
    (first,) = made(instance)
    restored = new_instance()
    operation = create_operation(restored)
    operation.action, operation.arguments = "restore_instance", {"backup": first.id}
    accepting.accept_create(restored, operation, {})
    for _ in range(2):
        fleet.come(row)
        for each in live(instance):
            each.update(actions=[Operation.resources["backup"].set(MADE)])
            end_operation(each, Ending(OperationStatus.SUCCEEDED))
    runs.look(row.id)
    assert first.id in {each.id for each in made(instance) if each.operation_id is None}
    fleet.end()
    runs.look(row.id)
    fleet.end()
    assert first.id not in {each.id for each in made(instance)}


def test_a_restore_that_begins_as_a_backup_goes_has_the_backup_or_is_refused(
    fleet: Fleet,
) -> None:
    fleet, instance, row = due_now(fleet.world)
    oldest = made(instance)[0]
    restored = new_instance()
    operation = create_operation(restored)
    operation.action, operation.arguments = "restore_instance", {"backup": oldest.id}
    fleet.world.interruptions["dynamodb.TransactWriteItems"] = lambda: runs.look(row.id)
    with pytest.raises(Conflict, match="is being deleted"):
        accepting.accept_create(restored, operation, {})
    assert backups.get_backup(oldest.id).status == BackupStatus.DELETING


def test_what_its_tenant_wants_to_keep_by_then_stays(fleet: Fleet) -> None:
    fleet, instance, row = due_now(fleet.world)
    oldest = made(instance)[0]
    fleet.world.interruptions["dynamodb.TransactWriteItems"] = lambda: schedules.change(
        stored(row), {"keep_count": 5}, WHO
    )
    runs.look(row.id)
    assert stored(row).keep_count == 5
    runs.look(row.id)
    assert backups.get_backup(oldest.id).status == BackupStatus.COMPLETED


def test_what_cannot_be_deleted_is_tried_again_a_day_later(fleet: Fleet) -> None:
    """As in a container that its owner has deleted: each try is an operation that fails."""
    instance = fleet.instance()
    row = fleet.schedule(instance, keep_count=1)
    tried: dict[str, list[float]] = {}
    until = fleet.world.now + 5 * DAY
    while fleet.world.now < until:
        fleet.world.run_until(max(stored(row).due_at, fleet.world.now + 1))
        fleet.hear(instance)
        fleet.minute()
        for operation in Operation.scan(Operation.live.exists() & (Operation.action != MADE_BY)):
            times = tried.setdefault(operation.subject_id, [])
            assert not times or fleet.world.now - times[-1] >= DAY
            times.append(fleet.world.now)
            end_operation(operation, Ending(OperationStatus.FAILED, "The container is gone."))
        fleet.end()
    assert max(len(times) for times in tried.values()) >= 3


def test_what_goes_is_found_behind_any_number_that_stays(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hourly ones of 48 days, of which 45 are kept, and none was given up so far."""
    instance = fleet.instance()
    row = fleet.schedule(instance, interval_hours=1, full_every=24, keep_days=45)
    fleet.world.run(48 * DAY)
    first, chain = fleet.world.now - 48 * DAY, list[Backup]()
    with Backup.batch_write() as batch:
        for hour in range(48 * 24):
            parent = chain[-1] if len(chain) % 24 else None
            made_then = making_backups.new_backup(
                instance, str(hour), parent=parent, schedule_id=row.id
            )
            made_then.status, made_then.created = BackupStatus.COMPLETED, first + hour * HOUR
            made_then.children = int(hour % 24 < 23)
            chain.append(made_then)
            batch.save(made_then)
    fleet.hear(instance)
    find, read = backups.find_backups, list[str]()

    def found(ids: Iterable[str]) -> list[Backup]:
        wanted = list(ids)
        read.extend(wanted)
        return find(wanted)

    monkeypatch.setattr(backups, "find_backups", found)
    runs.look(row.id)
    assert len(read) == 4 * 24, "the chains that go, and that of the newest"
    going = [each.name for each in Backup.scan(Backup.status == BackupStatus.DELETING)]
    assert sorted(map(int, going)) == [23, 47, 71], "the ends of chains of which none is kept"
    assert stored(row).due_at <= fleet.world.now + runs.SOON_SECONDS + 1, "and the next ones soon"


@pytest.mark.parametrize("gone", [True, False])
def test_what_only_a_late_index_has_takes_nobodys_place(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, *, gone: bool
) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, keep_count=1)
    for _ in range(2):
        fleet.come(row)
        fleet.end()
    older, newest = made(instance)
    as_it_was = [newest, older]
    monkeypatch.setattr(backups, "all_of", lambda _: as_it_was)
    if gone:
        Backup(newest.id).delete()
    else:
        Backup(newest.id).update(actions=[Backup.status.set(BackupStatus.DELETING)])
    runs.look(row.id)
    assert backups.get_backup(older.id).status == BackupStatus.COMPLETED


def test_a_backup_beyond_what_is_looked_at_is_refused_and_told(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "MOST_OF_INSTANCE", 2)
    instance, other = fleet.instance(), fleet.instance()
    row, another = fleet.schedule(instance), fleet.schedule(other)
    for _ in range(3):
        fleet.come(row)
        fleet.end()
    assert len(made(instance)) == 2
    assert stored(row).reason == "An instance has 2 backups at most: delete some."
    fleet.come(another)
    assert len(made(other)) == 1, "others have their own"


def test_a_month_of_daily_full_backups_and_increments_keeps_whole_chains(fleet: Fleet) -> None:
    instance = fleet.instance()
    quotas.get_quota(TENANT).update(actions=[Quota.limits.set({"backups": -1})])
    fleet.schedule(instance, interval_hours=6, full_every=4, keep_days=7)
    begun = fleet.world.now
    fleet.until(begun + 30 * DAY)
    fleet.end()
    left = {each.id: each for each in made(instance)}
    assert all(each.status == BackupStatus.COMPLETED for each in left.values())
    for each in left.values():
        assert all(parent in left for parent in each.parents)
        assert len(each.parents) < 4
    ages = sorted((fleet.world.now - each.created) / DAY for each in left.values())
    assert ages[0] < 0.4
    assert 7 < ages[-1] < 8.2, "no more than the chain of the oldest that is kept"
    assert 28 <= len(left) <= 33
    assert quotas.used_of(quotas.get_quota(TENANT))["backups"] == len(left)


def test_one_whose_times_say_nothing_any_more_is_told_so_and_holds_up_no_other(
    fleet: Fleet,
) -> None:
    """A zone has left the database of zones, or a release takes less than the one before."""
    good, lost = (fleet.schedule(fleet.instance()) for _ in range(2))
    lost.update(actions=[BackupSchedule.cron.set("*/5 * * * *"), INTERVAL.remove()])
    fleet.until(begin_of(good) + HOUR)
    assert stored(good).last_backup_id is not None
    told = stored(lost)
    assert (told.last_backup_id, told.next_at) == (None, lost.next_at)
    assert "two times within 15 minutes" in str(told.reason)
    assert told.due_at > fleet.world.now + 20 * HOUR, "nor is it looked at again and again"
