"""After a restore of tables to an earlier moment: rows learn what has happened since."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from chalicelib.bus import queues
from chalicelib.cloud import servers, volumes
from chalicelib.conductor import generations
from chalicelib.domain.flows import REBUILD, ROLL_OUT, UPGRADE
from chalicelib.domain.rollouts import Wanted
from chalicelib.lifecycle import Status
from chalicelib.status import RolloutStatus
from chalicelib.store import accepting, instances, lists, operations, quotas, rollouts
from chalicelib.store.events import Asked
from chalicelib.store.models import Instance, Operation, Quota, Rollout
from chalicelib.store.operations import operation_of
from functions import restoration
from tests.functions.restored import (
    Backup,
    created,
    lose_row,
    plain,
    queued,
    replacing,
    resize,
    run,
)
from tests.support.rows import TENANT, WHO
from tests.support.simulated import VERSION, Stack


@pytest.mark.parametrize("kinds", [(Quota,), (Quota, Instance), (Quota, Instance, Operation)])
def test_quotas_are_right_whichever_tables_were_restored(stack: Stack, kinds: Any) -> None:
    created(stack)
    backup = Backup(stack, *kinds)
    created(stack)
    used = quotas.used_of(quotas.get_quota(TENANT))
    backup.restore()
    run()
    assert quotas.used_of(quotas.get_quota(TENANT)) == used
    stack.check_quotas()


def test_a_tenant_whose_quota_row_is_lost_gets_one(stack: Stack) -> None:
    backup = Backup(stack, Instance, Quota)
    created(stack)
    backup.restore()
    run()
    assert quotas.used_of(quotas.get_quota(TENANT))["instances"] == 1


@pytest.mark.parametrize("step", ["new_generation", "server"])
@pytest.mark.parametrize("lost", [True, False], ids=["lost", "older"])
def test_a_guest_that_is_being_replaced_is_let_in_after_a_restore(
    stack: Stack, step: str, *, lost: bool
) -> None:
    instance_id = created(stack)
    before = plain(instance_id)
    backup = replacing(stack, instance_id, step)
    if lost:
        lose_row(stack, instance_id)
    else:
        backup.restore()
    run()
    assert instances.get_instance(instance_id).generation == 2
    stack.settle()
    after = instances.get_instance(instance_id)
    assert (after.status, after.fault_message) == (Status.ACTIVE, None)
    own = ("server_id", "volume_id", "port_id", "security_group_id")
    assert {each: after.resources[each] for each in own} == {
        each: before["resources"][each] for each in own
    }
    assert run() == []
    stack.check()


def test_a_row_learns_how_its_operation_has_ended_since(stack: Stack) -> None:
    instance, _ = stack.create()
    backup = Backup(stack, Instance)
    stack.settle()
    before = plain(instance.id)
    backup.restore()
    assert run("restore_rows") == [f"{instance.id}: create_instance has SUCCEEDED"]
    assert plain(instance.id) == before
    stack.check()


def test_a_row_learns_that_its_create_failed_and_holds_nothing(stack: Stack) -> None:
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    instance, _ = stack.create()
    backup = Backup(stack, Instance)
    stack.settle()
    backup.restore()
    run()
    row = instances.get_instance(instance.id)
    assert row.status == Status.ERROR
    assert row.fault_message is not None
    assert row.fault_message.startswith("The guest agent did not finish")
    stack.check()


@pytest.mark.parametrize("moment", ["being made", "idle", "being changed"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_row_learns_what_has_become_of_its_access_since(
    stack: Stack, moment: str, fails: bool
) -> None:
    instance, _ = stack.create()
    backups = {"being made": Backup(stack, Instance)}
    stack.settle()
    backups["idle"] = Backup(stack, Instance)
    stack.run(1)
    if fails:
        stack.spoil("network", "create_floatingip", "quota")
    stack.update_access(instance.id, is_public=True, allowed_cidrs=["192.0.2.0/24"])
    backups["being changed"] = Backup(stack, Instance)
    stack.settle()
    before = plain(instance.id)
    assert before["status"] == Status.ACTIVE
    assert ("fault_message" in before) == fails
    backups[moment].restore()
    ended = "FAILED" if fails else "SUCCEEDED"
    assert run("restore_rows") == [f"{instance.id}: update_access has {ended}"]
    after = plain(instance.id)
    assert {**after, "fault_created": 0} == {**before, "fault_created": 0}
    assert run("restore_rows") == []


@pytest.mark.parametrize("moment", ["being made", "idle", "being changed"])
def test_a_row_learns_how_large_its_volume_has_become(stack: Stack, moment: str) -> None:
    instance, _ = stack.create()
    backups = {"being made": Backup(stack, Instance, Quota)}
    stack.settle()
    backups["idle"] = Backup(stack, Instance, Quota)
    stack.run(1)
    resize(stack, instance.id)
    backups["being changed"] = Backup(stack, Instance, Quota)
    stack.settle()
    before, used = plain(instance.id), quotas.used_of(quotas.get_quota(TENANT))
    backups[moment].restore()
    run()
    assert plain(instance.id) == before
    assert quotas.used_of(quotas.get_quota(TENANT)) == used
    stack.check()


def test_a_row_that_was_being_made_learns_that_its_access_is_being_changed(stack: Stack) -> None:
    instance, _ = stack.create()
    backup = Backup(stack, Instance)
    stack.settle()
    made = plain(instance.id)
    stack.update_access(instance.id, is_public=True)
    backup.restore()
    assert run("restore_rows") == [f"{instance.id}: update_access is under way"]
    stack.settle()
    row = instances.get_instance(instance.id)
    assert (row.status, row.operation_id) == (Status.ACTIVE, None)
    assert (row.resources, row.access) == (
        made["resources"],
        {"is_public": True, "allowed_cidrs": []},
    )


def test_a_row_is_newer_than_operations_that_were_restored(stack: Stack) -> None:
    instance_id = created(stack)
    stack.update_access(instance_id, is_public=True)
    stack.settle()
    backup = Backup(stack, Operation)
    stack.update_access(instance_id, is_public=False)
    stack.settle()
    before = plain(instance_id)
    backup.restore()
    assert run("restore_rows") == []
    assert plain(instance_id) == before


def test_a_row_learns_that_its_instance_was_deleted(stack: Stack) -> None:
    instance_id = created(stack)
    backup = Backup(stack, Instance)
    stack.delete(instance_id)
    stack.settle()
    backup.restore()
    assert f"{instance_id}: it was deleted" in run()
    row = instances.find_instance(instance_id)
    assert row is not None
    assert (row.status, row.held, row.index_tenant) == (Status.DELETED, {}, None)
    assert lists.of_tenant(TENANT, 10, None) == ([], None)
    stack.check()


def test_a_row_learns_that_its_delete_is_under_way(stack: Stack) -> None:
    instance_id = created(stack)
    backup = Backup(stack, Instance)
    operation = stack.delete(instance_id)
    backup.restore()
    run("restore_rows")
    row = instances.get_instance(instance_id)
    assert (row.status, row.operation_id) == (Status.SHUTDOWN, operation.id)
    stack.settle()
    stack.check()


@pytest.mark.parametrize("moment", ["before the change", "before the delete"])
def test_a_row_learns_that_a_delete_waits(stack: Stack, moment: str) -> None:
    instance_id = created(stack)
    backups = {"before the change": Backup(stack, Instance)}
    change = stack.update_access(instance_id, is_public=True)
    backups["before the delete"] = Backup(stack, Instance)
    deletion = queued(stack, instance_id)
    before = plain(instance_id)
    backups[moment].restore()
    told = {
        "before the change": "update_access is under way",
        "before the delete": "delete_instance waits",
    }
    assert run("restore_rows") == [f"{instance_id}: {told[moment]}"]
    assert plain(instance_id) == before
    assert run("restore_rows") == []
    stack.settle()
    stack.check()
    for operation, status in ((change, "CANCELLED"), (deletion, "SUCCEEDED")):
        ended = operations.get_operation(operation.id)
        assert ended is not None
        assert ended.status == status


def test_a_delete_that_waits_for_an_instance_without_a_row_ends(stack: Stack) -> None:
    """What its create had made was removed when the row was lost: there is nothing to adopt."""
    backup = Backup(stack, Instance, Quota)
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    instance, create = stack.create()
    stack.run(30)
    deletion = queued(stack, instance.id)
    backup.restore()
    stack.settle()
    assert run() == []
    for operation, status in ((create, "CANCELLED"), (deletion, "FAILED")):
        ended = operations.get_operation(operation.id)
        assert ended is not None
        assert (ended.status, ended.live) == (status, None)
        assert ended.reason
    assert instances.service_status(instance.id) is None
    stack.check()


def test_an_operation_whose_instance_has_no_row_ends_all_the_same(stack: Stack) -> None:
    """Its delete had removed everything when the row was lost: there is nothing to adopt."""
    backup = Backup(stack, Instance, Quota)
    instance_id = created(stack)
    operation = stack.delete(instance_id)
    backup.restore()
    stack.settle()
    assert run() == []
    ended = operations.get_operation(operation.id)
    assert ended is not None
    assert (ended.status, ended.live) == ("SUCCEEDED", None)
    stack.check()


def test_an_operation_that_is_lost_leaves_an_instance_that_can_be_deleted(stack: Stack) -> None:
    before = Backup(stack, Operation)
    instance, _ = stack.create()
    before.restore()
    assert run("restore_rows") == [f"{instance.id}: its operation is lost"]
    assert instances.get_instance(instance.id).status == Status.ERROR
    stack.delete(instance.id)
    stack.settle()
    row = instances.find_instance(instance.id)
    assert row is not None
    assert row.status == Status.DELETED
    assert not any(stack.inventory().values())
    stack.check_quotas()


def version_of(row: Instance) -> dict[str, Any]:
    """As an upgrade's arguments tell it."""
    return {
        "id": row.datastore_version_id,
        "name": row.datastore_version,
        "number": row.datastore_version_number,
        "image": row.image,
    }


ON_THE_WAY = ("new_generation", "server", "prepare")
ON_THE_WAY_BACK = ("stop_again", "generation_back", "server_back", "prepare_back")


@pytest.mark.parametrize("lost", ["row", "since before", "since its begin"])
@pytest.mark.parametrize("step", [*ON_THE_WAY, *ON_THE_WAY_BACK])
def test_an_upgrade_that_is_under_way_goes_on(stack: Stack, lost: str, step: str) -> None:
    """The guest that it waits for is let in, and what goes back has the version of before."""
    instance_id = created(stack)
    before = version_of(instances.get_instance(instance_id))
    if step in ON_THE_WAY_BACK:
        stack.guests.on_guest = lambda guest: guest.failing.update(upgrade=["it does not start"])
    backup = Backup(stack, Instance)
    arguments = {"version": VERSION, "before": before}
    operation = stack.accept(instance_id, UPGRADE, arguments)
    if lost == "since its begin":
        backup = Backup(stack, Instance)
    stack.reach(operation, step)
    if lost == "row":
        lose_row(stack, instance_id)
    else:
        backup.restore()
    run()
    assert run() == []
    stack.settle()
    row = instances.get_instance(instance_id)
    after = before if step in ON_THE_WAY_BACK else VERSION
    assert (row.status, version_of(row)) == (Status.ACTIVE, after)
    assert {"server_id", "volume_id"} <= set(row.resources)
    stack.check()


def test_a_guest_that_was_expelled_since_its_rebuild_began_stays_out(stack: Stack) -> None:
    instance_id = created(stack)
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    operation = stack.accept(instance_id, REBUILD, {"image_id": None, "was": Status.ACTIVE})
    stack.reach(operation, "prepare")
    generations.expel(instance_id, Asked())
    assert run("restore_rows") == []
    stack.settle()
    assert instances.get_instance(instance_id).generation == 3


@pytest.mark.parametrize("lost", [False, True])
def test_a_rollout_learns_that_it_has_ended(stack: Stack, lost: bool) -> None:
    created(stack)
    row = rollouts.new_rollout(TENANT, Wanted("none such", "version-1", tolerate=1))
    operation = operation_of(row, ROLL_OUT, arguments=row.asked, asked=WHO)
    accepting.accept_create(row, operation, {})
    queues.notify_task_manager(operation.id)
    backup = Backup(stack, Rollout)
    stack.settle()
    before = rollouts.get_rollout(row.id)
    assert before.status == RolloutStatus.COMPLETED
    backup.restore()
    if lost:
        Operation(operation.id).delete()
    what = "its operation is lost" if lost else "roll_out has SUCCEEDED"
    assert run("restore_rows", check=True) == [f"rollout {row.id}: {what}"]
    assert rollouts.get_rollout(row.id).status == RolloutStatus.RUNNING
    assert run("restore_rows") == [f"rollout {row.id}: {what}"]
    after = rollouts.get_rollout(row.id)
    assert (after.operation_id, after.expires is None) == (None, False)
    if lost:
        assert (after.status, after.progress) == (RolloutStatus.FAILED, None)
        assert "restored" in str(after.fault_message)
    else:
        assert (after.status, after.progress) == (before.status, before.progress)
    assert run("restore_rows") == []


@pytest.mark.parametrize(("part", "looked"), [(None, "servers"), ("volumes", "volumes")])
def test_servers_are_looked_at_before_volumes(
    monkeypatch: pytest.MonkeyPatch, part: str | None, looked: str
) -> None:
    """Who has a server is adopted with it, and is no volume without one."""
    seen: list[str] = []

    def page(name: str, *_: Any) -> list[Any]:
        seen.append(name)
        return []

    monkeypatch.setattr(servers, "page", partial(page, "servers"))
    monkeypatch.setattr(volumes, "page", partial(page, "volumes"))
    monkeypatch.setattr(instances, "find_instances", lambda _: {})
    restoration.adopt({"part": part} if part else {})
    assert seen == [looked]


def test_pages_follow_each_other(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoration, "PAGE_THINGS", 1)
    monkeypatch.setattr(restoration, "PAGE_ROWS", 1)
    backup = Backup(stack, Instance)
    young = [created(stack) for _ in range(3)]
    backup.restore()
    assert len(run()) == len(young)
    assert run() == []
    stack.check()
