"""After a restore of tables to an earlier moment: what is younger is found again, or told."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.bus import queues
from chalicelib.cloud import names, network
from chalicelib.conductor import generations
from chalicelib.domain.flows import REBUILD, RESIZE_VOLUME, ROLL_OUT, STOP, UPGRADE
from chalicelib.domain.operations import OperationStatus
from chalicelib.domain.rollouts import Wanted
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.status import RolloutStatus
from chalicelib.store import (
    accepting,
    events,
    instances,
    lists,
    operations,
    quotas,
    restoring,
    rollouts,
)
from chalicelib.store.base import as_dict
from chalicelib.store.events import Asked
from chalicelib.store.models import (
    Guest,
    Instance,
    Operation,
    Quota,
    Rollout,
    ServiceStatusRow,
)
from chalicelib.store.operations import operation_of
from functions import handler, restoration
from tests.support import resizes
from tests.support.rows import TENANT, WHO, new_instance
from tests.support.simulated import VERSION, Stack
from tests.support.things import make_volume

ALL = ("restore_rows", "adopt", "recount_quotas")


def run(*steps: str, check: bool = False) -> list[str]:
    """Run jobs to their last pages; answers what they told."""
    told: list[str] = []
    for step in steps or ALL:
        following: dict[str, Any] | None = {}
        while following is not None:
            answer = handler.cloud({"step": step, "check": check, **following}, None)
            told += answer["told"]
            following = answer["next"]
    return list(dict.fromkeys(told))


class Backup:
    """Tables as they were at a moment."""

    def __init__(self, stack: Stack, *models: Any) -> None:
        self._stack = stack
        self._tables = [stack.region.dynamodb.tables[model.Meta.table_name] for model in models]
        self._snapshots = [table.snapshot() for table in self._tables]

    def restore(self) -> None:
        self._stack.invariants.hub.restoring = True
        for table, snapshot in zip(self._tables, self._snapshots, strict=True):
            table.restore(snapshot, self._stack.kernel.now)


def lose_row(stack: Stack, instance_id: str) -> None:
    """As a restore to a moment before it was made."""
    stack.invariants.hub.restoring = True
    Instance(instance_id).delete()


def created(stack: Stack) -> str:
    instance, _ = stack.create()
    stack.settle()
    return instance.id


def plain(instance_id: str) -> dict[str, Any]:
    row = instances.find_instance(instance_id)
    assert row is not None
    return {name: value for name, value in row.attribute_values.items() if name != "updated"}


def test_who_may_reach_an_adopted_instance_is_what_holds_in_the_cloud(stack: Stack) -> None:
    created(stack)
    backup = Backup(stack, Instance)
    young = created(stack)
    stack.update_access(young, is_public=True, allowed_cidrs=["192.0.2.0/24"])
    stack.settle()
    before = plain(young)
    backup.restore()
    run()
    assert plain(young)["access"] == before["access"]
    assert plain(young)["addresses"] == before["addresses"]
    assert len(before["addresses"]) == 2
    stack.check()


def test_what_is_younger_than_the_restore_is_adopted_as_it_was(stack: Stack) -> None:
    old = created(stack)
    backup = Backup(stack, Instance)
    young = created(stack)
    before, used = plain(young), quotas.used_of(quotas.get_quota(TENANT))
    backup.restore()
    assert run(check=True) == [f"{young}: database of {TENANT}", f"{TENANT}: {_one_less()}"]
    assert instances.find_instance(young) is None
    assert run() == [f"{young}: database of {TENANT}"]
    assert plain(young) == before
    assert quotas.used_of(quotas.get_quota(TENANT)) == used
    assert "instance.adopted" in {each.kind for each in events.events_of(young)}
    assert run() == []
    stack.check()
    for instance_id in (old, young):
        stack.delete(instance_id)
    stack.settle()
    stack.check()


def _one_less() -> str:
    return "instances 2 → 1, ram 1024 → 512, volumes 4 → 2"


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


def test_what_was_stopped_is_adopted_as_stopped(stack: Stack) -> None:
    backup = Backup(stack, Instance)
    young = created(stack)
    stack.accept(young, STOP)
    stack.settle()
    before = plain(young)
    backup.restore()
    run()
    assert plain(young) == before
    stack.check()


def test_a_tenant_whose_quota_row_is_lost_gets_one(stack: Stack) -> None:
    backup = Backup(stack, Instance, Quota)
    created(stack)
    backup.restore()
    run()
    assert quotas.used_of(quotas.get_quota(TENANT))["instances"] == 1


def test_a_create_that_was_under_way_goes_on(stack: Stack) -> None:
    backup = Backup(stack, Instance)
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    instance, operation = stack.create()
    stack.run(30)
    backup.restore()
    run()
    row = instances.get_instance(instance.id)
    assert (row.status, row.operation_id) == (Status.BUILD, operation.id)
    for guest in stack.guests.values():
        guest.silent = False
    stack.settle()
    stack.check()


def replacing(stack: Stack, instance_id: str, step: str) -> Backup:
    """A rebuild up to the end of a step, and the rows of before."""
    (image_id,) = {server.image_id for server in stack.servers}
    operation = stack.accept(instance_id, REBUILD, {"image_id": image_id, "was": "ACTIVE"})
    backup = Backup(stack, Instance)
    for _ in range(1000):
        if step in as_dict(Operation.get(operation.id).ended):
            return backup
        stack.run(0.1)
    raise AssertionError(f"{step} did not end")


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


def test_an_adopted_instance_is_as_large_as_its_volume(stack: Stack) -> None:
    created(stack)
    backup = Backup(stack, Instance)
    young = created(stack)
    resize(stack, young)
    stack.settle()
    before = plain(young)
    backup.restore()
    run()
    assert plain(young) == before
    stack.check()


def test_an_adopted_instance_has_the_flavor_of_its_server(stack: Stack) -> None:
    created(stack)
    backup = Backup(stack, Instance)
    young = created(stack)
    resizes.resize(stack, young)
    stack.settle()
    before = plain(young)
    assert before["flavor_id"] == resizes.MORE.id
    backup.restore()
    run()
    assert plain(young) == before
    stack.check()


def resize(stack: Stack, instance_id: str) -> None:
    holds = {**instances.get_instance(instance_id).held, "volumes": 5}
    stack.accept(instance_id, RESIZE_VOLUME, {"volume_size": 5}, holds=holds)


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


def queued(stack: Stack, instance_id: str) -> Operation:
    """A delete that waits: for a create that was called back, or a change of the access."""
    row = instances.get_instance(instance_id)
    deletion = stack.force_delete(row.id) if row.status == Status.BUILD else stack.delete(row.id)
    assert deletion.status == OperationStatus.QUEUED
    return deletion


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


def test_an_adopted_row_knows_of_the_delete_that_waits(stack: Stack) -> None:
    backup = Backup(stack, Instance)
    instance_id = created(stack)
    change = stack.update_access(instance_id, is_public=True)
    deletion = queued(stack, instance_id)
    backup.restore()
    assert run("adopt") == [f"{instance_id}: database of {TENANT}"]
    row = instances.get_instance(instance_id)
    assert (row.status, row.operation_id) == (Status.SHUTDOWN, change.id)
    assert row.next_operation_id == deletion.id
    run()
    stack.settle()
    stack.check()
    ended = operations.get_operation(deletion.id)
    assert ended is not None
    assert ended.status == "SUCCEEDED"


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


def test_what_is_not_whole_is_adopted_in_error_and_can_be_deleted(stack: Stack) -> None:
    instance_id = created(stack)
    lose_row(stack, instance_id)
    for server in stack.servers:
        stack.cloud.compute._lifecycle.vanish(server)
    (told,) = run("adopt")
    assert told == (
        f"{instance_id}: database of {TENANT}: "
        "Found again after a restore without its server; delete the instance."
    )
    row = instances.get_instance(instance_id)
    assert (row.status, row.fault_message) == (Status.ERROR, told.split(": ", 2)[2])
    assert row.resources == {}, "so that it is not started"
    stack.delete(instance_id)
    stack.settle()
    stack.check()


def test_a_guest_whose_key_is_lost_is_told(stack: Stack) -> None:
    backup = Backup(stack, Instance, Guest)
    instance_id = created(stack)
    backup.restore()
    assert "without the key of its guest; rebuild the instance" in run("adopt")[0]
    assert instances.get_instance(instance_id).status == Status.ERROR
    stack.accept(instance_id, REBUILD, {"image_id": None, "was": Status.ERROR})
    stack.settle()
    row = instances.get_instance(instance_id)
    assert (row.status, row.fault_message) == (Status.ACTIVE, None)


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


def test_a_server_that_is_being_made_anew_is_made_after_a_restore(stack: Stack) -> None:
    instance_id = created(stack)
    ((image_id, server),) = ((server.image_id, server) for server in stack.servers)
    stack.cloud.compute._lifecycle.vanish(server)
    arguments = {"image_id": image_id, "was": Status.ACTIVE}
    stack.reach(stack.accept(instance_id, REBUILD, arguments), "new_generation")
    lose_row(stack, instance_id)
    run()
    stack.settle()
    row = instances.get_instance(instance_id)
    assert (row.status, row.generation) == (Status.ACTIVE, 2)
    assert {"server_id", "volume_id", "port_id"} <= set(row.resources)
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


def test_what_holds_no_record_is_told_and_stays(stack: Stack) -> None:
    stranger = "0b0e3a6c-6a3d-4a77-8f0e-1d2f3a4b5c6d"
    make_volume(f"coffer-{stranger}", names.metadata(stranger, 1))
    (told,) = run("adopt")
    assert told == f"{stranger}: cannot be adopted: its metadata holds no record of its row"
    assert instances.find_instance(stranger) is None
    stack.run(5)
    assert stack.inventory()["volume"] == [f"coffer-{stranger}"]


def test_the_report_of_a_guest_stands_and_its_absence_is_unknown(stack: Stack) -> None:
    backup = Backup(stack, Instance, ServiceStatusRow)
    instance_id = created(stack)
    Backup(stack, ServiceStatusRow)
    lose_row(stack, instance_id)
    run("adopt")
    reported = instances.service_status(instance_id)
    assert reported is not None
    assert reported.status == ServiceStatus.HEALTHY
    backup.restore()
    run("adopt")
    reported = instances.service_status(instance_id)
    assert reported is not None
    assert reported.status == ServiceStatus.UNKNOWN


def test_who_may_reach_an_adopted_instance_is_what_the_rules_say(stack: Stack) -> None:
    instance_id = created(stack)
    (group,) = network.find_security_groups(instance_id)
    (rule,) = group.rules
    network.create_rule(group.id, network.Rule(rule.port, "10.0.0.0/8"))
    network.delete_rule(group.rules[rule])
    lose_row(stack, instance_id)
    run("adopt")
    assert instances.get_instance(instance_id).access == {"allowed_cidrs": ["10.0.0.0/8"]}


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


def test_pages_follow_each_other(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoration, "PAGE_THINGS", 1)
    monkeypatch.setattr(restoration, "PAGE_ROWS", 1)
    backup = Backup(stack, Instance)
    young = [created(stack) for _ in range(3)]
    backup.restore()
    assert len(run()) == len(young)
    assert run() == []
    stack.check()


def test_what_is_noted_on_an_instance_is_there_again(stack: Stack) -> None:
    noted: dict[str, Any] = {"description": "of the shop", "tags": {"a", "b"}, "protected": True}
    instance, _ = stack.create(**noted)
    stack.settle()
    before = plain(instance.id)
    lose_row(stack, instance.id)
    run()
    assert plain(instance.id) == before
    assert {name: before[name] for name in noted} == noted


@pytest.mark.usefixtures("stack")
def test_notes_that_are_too_long_for_the_record_are_left_out_and_the_protection_is_not() -> None:
    tags = {f"{number:02d}{'😀' * 58}" for number in range(50)}
    row = new_instance(name="😀" * 255, description="😀" * 255, tags=tags, protected=True)
    record = restoring.record_of(row)
    assert ("tags" in record, "description" in record, record["protected"]) == (False, True, True)
    assert len(names.metadata(row.id, 1, record)) <= 128


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    "name",
    ["database", "d" * 255, "😀 \"'" * 50, " leading and trailing "],
    ids=["plain", "long", "emoji", "spaces"],
)
def test_a_record_survives_the_limits_of_metadata(name: str) -> None:
    nics = [{"network_id": "n" * 36, "subnet_id": "s" * 36, "ip_address": "10.0.0.4"}]
    row = new_instance(
        name=name,
        nics=nics,
        access={"is_public": False},
        volume_type="fast ",
        description=name,
        tags={f"tag {number}" for number in range(50)},
    )
    metadata = names.metadata(row.id, 1, restoring.record_of(row))
    assert len(metadata) <= 128
    assert all(len(value) <= 255 and value.isascii() for value in metadata.values())
    assert not any(" " in value for value in metadata.values())
    record = names.record_in(metadata)
    assert record is not None
    again = restoring.row_from(row.id, 1, record)
    assert again is not None
    assert restoring.record_of(again) == restoring.record_of(row)
    assert names.record_in({**metadata, "coffer_row_0": "{"}) is None
