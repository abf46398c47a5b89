"""Rows of a table that was restored to an earlier moment: made again, put right, counted again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.flows import REBUILD, REMOVALS, UPGRADE
from chalicelib.domain.operations import OperationStatus
from chalicelib.domain.quotas import RESOURCES
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.store import events, generations, instances, operations, quotas, restoring
from chalicelib.store.accepting import accept
from chalicelib.store.base import ConditionFailed, Contended
from chalicelib.store.ending import Ending, end_operation, failure
from chalicelib.store.models import Instance, Operation, Quota, ServiceStatusRow
from chalicelib.store.operations import operation_of
from tests.support.bare import World
from tests.support.rows import (
    TENANT,
    accepted,
    access_operation,
    create_operation,
    delete_operation,
    new_instance,
)

WIDE = {"is_public": True, "allowed_cidrs": ["192.0.2.0/24"]}


def row(instance_id: str) -> Instance:
    found = instances.find_instance(instance_id)
    assert found is not None
    return found


def plain(instance_id: str) -> dict[str, Any]:
    """What a row says, without when and in whose words: a row that is put right is younger."""
    found = row(instance_id).attribute_values
    times = ("updated", "expires", "deleted_at", "fault_created", "access")
    told = {name: value for name, value in found.items() if name not in times}
    return told | {"has": sorted(found), "access": row(instance_id).access}


def done(operation: Operation, step: str, **resources: Any) -> None:
    leased = operations.take_lease(operation.id, step)
    operations.release_lease(leased, step, ended=True, resources=resources)


def stored(operation: Operation) -> Operation:
    found = operations.get_operation(operation.id)
    assert found is not None
    return found


def end(operation: Operation, reason: str | None = None) -> None:
    """Without a reason it has succeeded."""
    row = stored(operation)
    made = Ending(OperationStatus.SUCCEEDED)
    if reason is not None:
        made = failure(row, OperationStatus.FAILED, reason)
    end_operation(row, made)


def succeed_create(operation: Operation) -> None:
    done(operation, "volume", volume_id="v-1", addresses=[{"address": "192.0.2.7"}])
    end(operation)


def fail_create(operation: Operation) -> None:
    for step in REMOVALS:
        done(operation, step)
    end(operation, "no host")


def fail_create_halfway(operation: Operation) -> None:
    done(operation, "volume", volume_id="v-1")
    end(operation, "no host")


def active(world: World) -> Instance:
    instance, operation = accepted()
    world.run(1)
    succeed_create(operation)
    world.run(1)
    return row(instance.id)


def begin_access(instance: Instance) -> Operation:
    operation = access_operation(instance, WIDE)
    assert accept(row(instance.id), operation)
    return operation


def change_access(instance: Instance) -> None:
    operation = begin_access(instance)
    done(operation, "addresses", addresses=[{"address": "198.51.100.7"}])
    end(operation)


def fail_access(instance: Instance) -> None:
    end(begin_access(instance), "no address left")


def begin_delete(instance: Instance) -> Operation:
    operation = delete_operation(instance)
    assert accept(row(instance.id), operation)
    return operation


def delete(instance: Instance) -> None:
    end(begin_delete(instance))


def fail_delete(instance: Instance) -> None:
    end(begin_delete(instance), "the server stays")


def begin_rebuild(instance: Instance) -> Operation:
    operation = operation_of(row(instance.id), REBUILD, arguments={"image_id": "image-2"})
    assert accept(row(instance.id), operation)
    done(operation, "check", image_id="image-2", flavor={"id": "2", "ram": 1024, "vcpus": 2})
    assert generations.begin(operation, "new_generation")
    done(operation, "new_generation")
    return operation


def rebuild(instance: Instance) -> None:
    end(begin_rebuild(instance))


def fail_rebuild(instance: Instance) -> None:
    end(begin_rebuild(instance), "Nova refused it")


def put_right(world: World, older: dict[str, Any]) -> str | None:
    """Restore a row, and mend it; what was wrong with it."""
    Instance(**older).save()
    world.run(60)
    found = restoring.wrong(row(older["id"]))
    if found is None:
        return None
    restoring.mend(row(older["id"]), *found)
    assert restoring.wrong(row(older["id"])) is None
    return found[0]


@pytest.mark.parametrize(
    ("finish", "said"),
    [
        (succeed_create, "create_instance has SUCCEEDED"),
        (fail_create, "create_instance has FAILED"),
        (fail_create_halfway, "create_instance has FAILED"),
    ],
)
def test_a_create_that_ended_since(
    world: World, finish: Callable[[Operation], None], said: str
) -> None:
    instance, operation = accepted()
    older = dict(row(instance.id).attribute_values)
    world.run(5)
    finish(operation)
    newer = plain(instance.id)
    assert put_right(world, older) == said
    assert plain(instance.id) == newer
    assert events.events_of(instance.id)[0].kind == "instance.mended"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_access, "update_access has SUCCEEDED"),
        (fail_access, "update_access has FAILED"),
        (rebuild, "rebuild_instance has SUCCEEDED"),
        (fail_rebuild, "rebuild_instance has FAILED"),
        (delete, "it was deleted"),
        (fail_delete, "delete_instance has FAILED"),
        (begin_access, "update_access is under way"),
        (begin_delete, "delete_instance is under way"),
    ],
)
def test_what_became_of_an_active_instance_since(
    world: World, change: Callable[[Instance], object], said: str
) -> None:
    instance = active(world)
    older = dict(row(instance.id).attribute_values)
    change(instance)
    newer = plain(instance.id)
    assert put_right(world, older) == said
    assert plain(instance.id) == newer


def test_a_delete_that_waits_is_known_again(world: World) -> None:
    instance = active(world)
    begin_access(instance)
    older = dict(row(instance.id).attribute_values)
    begin_delete(instance)
    newer = plain(instance.id)
    assert put_right(world, older) == "delete_instance waits"
    assert plain(instance.id) == newer


def test_several_changes_since_end_in_the_last_one(world: World) -> None:
    instance = active(world)
    older = dict(row(instance.id).attribute_values)
    fail_access(instance)
    world.run(5)
    change_access(instance)
    world.run(5)
    newer = plain(instance.id)
    assert put_right(world, older) == "update_access has SUCCEEDED"
    assert plain(instance.id) == newer


def test_a_row_that_knows_everything_is_left_alone(world: World) -> None:
    instance = active(world)
    change_access(instance)
    assert put_right(world, dict(row(instance.id).attribute_values)) is None
    begin_delete(instance)
    assert put_right(world, dict(row(instance.id).attribute_values)) is None
    gone = active(world)
    delete(gone)
    assert put_right(world, dict(row(gone.id).attribute_values)) is None


def test_a_row_whose_operation_is_lost_says_so(world: World) -> None:
    instance, operation = accepted()
    older = dict(row(instance.id).attribute_values)
    operation.delete()
    assert put_right(world, older) == "its operation is lost"
    found = row(instance.id)
    assert (found.status, found.operation_id) == (Status.ERROR, None)
    assert "restored" in str(found.fault_message)


def test_a_row_that_somebody_changes_meanwhile_is_not_mended(world: World) -> None:
    instance = active(world)
    older = dict(row(instance.id).attribute_values)
    change_access(instance)
    Instance(**older).save()
    read = row(instance.id)
    found = restoring.wrong(read)
    assert found is not None
    begin_delete(instance)
    with pytest.raises(ConditionFailed):
        restoring.mend(read, *found)
    assert row(instance.id).status == Status.SHUTDOWN


# ------------------------------------------------------------------------ rows made again


def test_a_record_makes_the_row_again(world: World) -> None:
    instance = active(world)
    made = restoring.row_from(instance.id, 1, restoring.record_of(instance))
    assert made is not None
    own = {"resources", "addresses", "updated"}
    before, after = (
        {name: value for name, value in each.attribute_values.items() if name not in own}
        for each in (instance, made)
    )
    assert {name: value for name, value in after.items() if value is not None} == before
    assert restoring.row_from(instance.id, 1, {"name": "no record"}) is None


def adopted(instance: Instance, fault: str | None = None) -> Instance:
    made = restoring.row_from(instance.id, 1, restoring.record_of(instance))
    assert made is not None
    assert restoring.adopt(made, fault)
    assert not restoring.adopt(made, fault)
    assert events.events_of(instance.id)[0].kind == "instance.adopted"
    return row(instance.id)


def test_an_adopted_row_is_active_and_its_guest_unknown(world: World) -> None:
    instance = new_instance()
    found = adopted(instance)
    assert (found.status, found.operation_id, found.fault_message) == (Status.ACTIVE, None, None)
    reported = instances.service_status(instance.id)
    assert reported is not None
    assert (reported.status, reported.generation) == (ServiceStatus.UNKNOWN, 1)
    assert quotas.used_of(Quota.get(TENANT)) == dict.fromkeys(RESOURCES, 0)


def test_what_a_guest_has_reported_stays_when_its_row_is_adopted(world: World) -> None:
    instance = active(world)
    ServiceStatusRow(instance.id).update(
        actions=[ServiceStatusRow.status.set(ServiceStatus.BLOCKED)]
    )
    instance.delete()
    adopted(instance)
    reported = instances.service_status(instance.id)
    assert reported is not None
    assert reported.status == ServiceStatus.BLOCKED


def test_an_adopted_row_tells_its_fault(world: World) -> None:
    found = adopted(new_instance(), "its volume is missing")
    assert (found.status, found.fault_message) == (Status.ERROR, "its volume is missing")
    assert found.fault_created == world.now


def test_an_adopted_row_belongs_to_the_operation_that_is_under_way(world: World) -> None:
    instance = new_instance()
    operation = create_operation(instance)
    operation.save()
    found = adopted(instance, "a fault that the operation will tell by itself")
    assert (found.status, found.operation_id) == (Status.BUILD, operation.id)
    assert found.fault_message is None


def test_an_adopted_row_whose_upgrade_is_under_way_is_of_the_version_before(world: World) -> None:
    """The record in the cloud is of what was asked for."""
    before = {"id": "version-0", "name": "10.6", "number": "10.6.1", "image": {"id": "image-0"}}
    after = {"id": "version-1", "name": "10.11", "number": "10.11.6", "image": {"id": None}}
    instance = new_instance()
    operation_of(instance, UPGRADE, arguments={"version": after, "before": before}).save()
    found = adopted(instance)
    assert found.status == UPGRADE.during
    assert (found.datastore_version_id, found.datastore_version) == ("version-0", "10.6")
    assert (found.datastore_version_number, found.image) == ("10.6.1", {"id": "image-0"})


# ---------------------------------------------------------------------- quotas counted again


def test_counters_are_made_what_the_rows_hold(world: World) -> None:
    active(world)
    used = quotas.used_of(Quota.get(TENANT))
    Quota(TENANT).update(actions=[Quota.ram.set(0), Quota.volumes.set(7)])
    said = f"ram 0 → {used['ram']}, volumes 7 → {used['volumes']}"
    assert restoring.recount(TENANT, check=True) == said
    assert quotas.used_of(Quota.get(TENANT))["volumes"] == 7
    assert restoring.recount(TENANT, check=False) == said
    assert quotas.used_of(Quota.get(TENANT)) == used
    assert restoring.recount(TENANT, check=False) is None


def test_counters_that_others_change_are_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    active(world)
    right = quotas.used_of(Quota.get(TENANT))
    Quota(TENANT).update(actions=[Quota.ram.set(1)])
    races, get_quota = [3], quotas.get_quota

    def raced(tenant_id: str) -> Quota:
        found = get_quota(tenant_id)
        if races[0]:
            races[0] -= 1
            Quota(tenant_id).update(actions=[Quota.backups.add(1)])
        return found

    monkeypatch.setattr(quotas, "get_quota", raced)
    restoring.recount(TENANT, check=False)
    assert quotas.used_of(get_quota(TENANT)) == right
    races[0] = 10**6
    Quota(TENANT).update(actions=[Quota.ram.set(1)])
    with pytest.raises(Contended):
        restoring.recount(TENANT, check=False)
