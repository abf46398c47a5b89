"""The transactions that accept and end operations: whole, once, and safe against each other."""

from __future__ import annotations

import pytest

from chalicelib.domain.operations import OperationStatus
from chalicelib.errors import NotFound, OverLimit
from chalicelib.lifecycle import IllegalTransition, ServiceStatus, Status
from chalicelib.store import accepting, changes, events, instances, lists, operations, quotas
from chalicelib.store.base import ConditionFailed
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Arguments, Instance, Operation
from tests.support.bare import World
from tests.support.rows import TENANT, accepted, create_operation, delete_operation, new_instance

CREATED = Ending(OperationStatus.SUCCEEDED)
CREATE_FAILED = Ending(OperationStatus.CANCELLED, reason="cancelled", undone=True)
DELETED = Ending(OperationStatus.SUCCEEDED, undone=True)


def stored(operation: Operation) -> Operation:
    row = operations.get_operation(operation.id)
    assert row is not None
    return row


def used() -> dict[str, int]:
    return quotas.used_of(quotas.get_quota(TENANT))


def active() -> Instance:
    instance, operation = accepted()
    end_operation(operation, CREATED)
    return instances.get_instance(instance.id)


def test_an_accepted_create_is_durable_as_a_whole(world: World) -> None:
    instance, operation = accepted()
    row = instances.get_instance(instance.id)
    assert (row.status, row.operation_id) == (Status.BUILD, operation.id)
    assert row.held == {"instances": 1, "ram": 512, "volumes": 2}
    assert stored(operation).status == OperationStatus.ACCEPTED
    assert used() == {"instances": 1, "ram": 512, "volumes": 2, "backups": 0}
    reported = instances.service_status(instance.id)
    assert reported is not None
    assert reported.status == ServiceStatus.NEW
    assert [row.kind for row in events.events_of(instance.id)] == ["create_instance.accepted"]
    assert operations.due_operations(world.now + 31, 10) == [operation.id]


def test_a_create_beyond_the_quota_leaves_nothing_behind(world: World) -> None:
    instance = new_instance()
    with pytest.raises(OverLimit, match=r"\['volumes'\]"):
        accepting.accept_create(
            instance, create_operation(instance), {"instances": 1, "ram": 1, "volumes": 41}
        )
    assert instances.find_instance(instance.id) is None
    assert used() == {"instances": 0, "ram": 0, "volumes": 0, "backups": 0}


def test_of_two_creates_for_the_last_unit_one_is_refused(world: World) -> None:
    for _ in range(9):
        accepted()
    world.interruptions["dynamodb.TransactWriteItems"] = accepted
    with pytest.raises(OverLimit):
        accepted()
    assert used()["instances"] == 10


def test_of_two_creates_that_both_fit_both_are_accepted(world: World) -> None:
    world.interruptions["dynamodb.TransactWriteItems"] = accepted
    accepted()
    assert used()["instances"] == 2


def test_another_tenants_instance_cannot_be_found(world: World) -> None:
    instance, _ = accepted()
    assert instances.get_instance(instance.id, TENANT).id == instance.id
    with pytest.raises(NotFound):
        instances.get_instance(instance.id, "tenant-2")
    with pytest.raises(NotFound):
        instances.get_instance("no-such-instance")


def test_a_page_ends_at_its_limit_and_the_next_begins_behind_the_marker(world: World) -> None:
    ids = sorted(accepted()[0].id for _ in range(5))
    accepted("tenant-2")
    page, marker = lists.of_tenant(TENANT, 3, None)
    assert ([row.id for row in page], marker) == (ids[:3], ids[2])
    page, marker = lists.of_tenant(TENANT, 3, marker)
    assert ([row.id for row in page], marker) == (ids[3:], None)


def test_an_accepted_delete_owns_the_instance(world: World) -> None:
    instance = active()
    operation = delete_operation(instance)
    assert accepting.accept(instance, operation)
    row = instances.get_instance(instance.id)
    assert (row.status, row.operation_id) == (Status.SHUTDOWN, operation.id)
    assert stored(operation).status == OperationStatus.ACCEPTED


def test_of_two_deletes_at_once_one_becomes_the_operation(world: World) -> None:
    instance = active()
    first, second = delete_operation(instance), delete_operation(instance)
    other = instances.get_instance(instance.id)
    world.interruptions["dynamodb.TransactWriteItems"] = lambda: accepting.accept(other, second)
    assert not accepting.accept(instance, first)
    assert instances.get_instance(instance.id).operation_id == second.id
    assert operations.get_operation(first.id) is None


def test_a_delete_in_build_is_no_transition(world: World) -> None:
    instance, _ = accepted()
    with pytest.raises(IllegalTransition):
        accepting.accept(instance, delete_operation(instance))


def test_a_reset_cancels_the_live_operation_and_makes_a_delete_possible(world: World) -> None:
    instance, operation = accepted()
    assert instances.reset_status(instances.get_instance(instance.id), "reset by an operator")
    row = instances.get_instance(instance.id)
    assert (row.status, row.fault_message) == (Status.ERROR, "reset by an operator")
    assert stored(operation).cancelled == "reset by an operator"
    assert operations.due_operations(world.now, 10) == [operation.id]

    queued = delete_operation(row)
    assert accepting.accept(row, queued)
    row = instances.get_instance(instance.id)
    assert (row.operation_id, row.next_operation_id) == (operation.id, queued.id)
    assert stored(queued).status == OperationStatus.QUEUED


def test_a_reset_that_meets_the_end_of_the_operation_is_repeated(world: World) -> None:
    instance, operation = accepted()
    row = instances.get_instance(instance.id)
    world.interruptions["dynamodb.TransactWriteItems"] = lambda: end_operation(operation, CREATED)
    assert not instances.reset_status(row, "reset by an operator")
    assert instances.get_instance(instance.id).status == Status.ACTIVE
    assert instances.reset_status(instances.get_instance(instance.id), "reset by an operator")


def queued_behind_a_create() -> tuple[Instance, Operation, Operation]:
    instance, operation = accepted()
    instances.reset_status(instances.get_instance(instance.id), "forced")
    queued = delete_operation(instance)
    assert accepting.accept(instances.get_instance(instance.id), queued)
    return instance, operation, queued


@pytest.mark.parametrize("ending", [CREATED, CREATE_FAILED], ids=["finished", "cancelled"])
def test_a_queued_delete_is_live_as_soon_as_the_one_before_it_ends(
    world: World, ending: Ending
) -> None:
    instance, operation, queued = queued_behind_a_create()
    assert end_operation(stored(operation), ending) == queued.id
    row = instances.get_instance(instance.id)
    assert (row.status, row.operation_id) == (Status.SHUTDOWN, queued.id)
    assert row.next_operation_id is None
    assert stored(queued).status == OperationStatus.ACCEPTED
    assert stored(operation).live is None
    assert operations.due_operations(world.now + 31, 10) == [queued.id]
    end_operation(stored(queued), DELETED)
    assert used() == {"instances": 0, "ram": 0, "volumes": 0, "backups": 0}


def test_a_queued_delete_that_is_asked_for_again_after_a_reset_shows_again(world: World) -> None:
    instance, _, queued = queued_behind_a_create()
    assert instances.reset_status(instances.get_instance(instance.id), "forced again")
    assert instances.get_instance(instance.id).status == Status.ERROR
    assert accepting.accept_queued_delete(instances.get_instance(instance.id))
    row = instances.get_instance(instance.id)
    assert (row.status, row.next_operation_id) == (Status.SHUTDOWN, queued.id)
    assert len(operations.operations_of(instance.id)) == 2


def test_a_queued_delete_that_starts_while_it_is_asked_for_again_is_looked_at_again(
    world: World,
) -> None:
    instance, operation, _ = queued_behind_a_create()
    assert instances.reset_status(instances.get_instance(instance.id), "forced again")
    row = instances.get_instance(instance.id)
    world.interruptions["dynamodb.TransactWriteItems"] = lambda: end_operation(
        stored(operation), CREATE_FAILED
    )
    assert not accepting.accept_queued_delete(row)
    assert instances.get_instance(instance.id).status == Status.SHUTDOWN


def test_a_delete_that_is_accepted_while_the_operation_ends_is_not_lost(world: World) -> None:
    instance, operation = accepted()
    instances.reset_status(instances.get_instance(instance.id), "forced")
    queued = delete_operation(instance)
    world.interruptions["dynamodb.TransactWriteItems"] = lambda: accepting.accept(
        instances.get_instance(instance.id), queued
    )
    assert end_operation(stored(operation), CREATE_FAILED) == queued.id
    assert instances.get_instance(instance.id).operation_id == queued.id


def test_an_operation_that_ends_while_a_delete_is_accepted_makes_it_look_again(
    world: World,
) -> None:
    instance, operation = accepted()
    instances.reset_status(instances.get_instance(instance.id), "forced")
    row, queued = instances.get_instance(instance.id), delete_operation(instance)
    world.interruptions["dynamodb.TransactWriteItems"] = lambda: end_operation(
        stored(operation), CREATE_FAILED
    )
    assert not accepting.accept(row, queued)
    assert accepting.accept(instances.get_instance(instance.id), queued)
    assert stored(queued).status == OperationStatus.ACCEPTED


def test_an_operation_ends_once(world: World) -> None:
    instance, operation = accepted()
    for _ in range(3):
        assert end_operation(operation, CREATED) is None
    assert end_operation(operation, CREATE_FAILED) is None
    row = instances.get_instance(instance.id)
    assert (row.status, row.operation_id) == (Status.ACTIVE, None)
    assert stored(operation).status == OperationStatus.SUCCEEDED
    assert used()["instances"] == 1
    kinds = [row.kind for row in events.events_of(instance.id)]
    assert sorted(kinds) == ["create_instance.accepted", "create_instance.succeeded"]


def test_two_runs_of_the_last_step_at_once_release_the_quota_once(world: World) -> None:
    instance, operation = accepted()
    other = stored(operation)
    world.interruptions["dynamodb.TransactWriteItems"] = lambda: end_operation(other, CREATE_FAILED)
    assert end_operation(stored(operation), CREATE_FAILED) is None
    assert used() == {"instances": 0, "ram": 0, "volumes": 0, "backups": 0}
    assert instances.get_instance(instance.id).held == {}


def test_a_second_run_tells_the_operation_that_is_live_now(world: World) -> None:
    """The first run may have died before it could hint the task manager."""
    _, operation, queued = queued_behind_a_create()
    before = stored(operation)
    end_operation(stored(operation), CREATE_FAILED)
    assert end_operation(before, CREATE_FAILED) == queued.id


def test_a_third_operation_is_none_while_a_delete_is_queued(world: World) -> None:
    instance, _ = accepted()
    Instance(instance.id).update([Instance.status.set(Status.ACTIVE)])
    live = instances.get_instance(instance.id)
    assert accepting.accept(live, delete_operation(live))
    third = delete_operation(instance)
    assert not accepting.accept(instances.get_instance(instance.id), third)
    assert operations.get_operation(third.id) is None


def test_a_delete_whose_instance_has_no_row_takes_what_the_guest_reported_along(
    world: World,
) -> None:
    instance = active()
    operation = delete_operation(instance)
    accepting.accept(instance, operation)
    Instance(instance.id).delete()
    assert instances.service_status(instance.id) is not None
    end_operation(stored(operation), Ending(OperationStatus.SUCCEEDED))
    assert stored(operation).status == OperationStatus.SUCCEEDED
    assert instances.service_status(instance.id) is None


def test_an_administrator_sees_everybodys_instances_page_by_page(world: World) -> None:
    here = [active().id for _ in range(3)] + [accepted("tenant-2")[0].id]
    gone = active()
    deleting = delete_operation(gone)
    accepting.accept(gone, deleting)
    end_operation(stored(deleting), DELETED)
    seen, marker = list[str](), None
    while True:
        page, marker = lists.of_everybody(2, marker, lists.ANY, None, deleted=False)
        assert len(page) <= 2
        seen += [row.id for row in page]
        if marker is None:
            break
    assert sorted(seen) == sorted(here)
    page, _ = lists.of_everybody(9, None, lists.ANY, None, deleted=True)
    assert [row.id for row in page] == [gone.id]


def test_a_root_that_is_told_is_its_own_guests_and_the_first_one(world: World) -> None:
    instance = active()
    generation = int(instance.generation)
    with pytest.raises(ConditionFailed):
        changes.record_root_told(instance.id, generation + 1)
    assert instances.get_instance(instance.id).root_enabled_at is None
    changes.record_root_told(instance.id, generation)
    first = world.now
    world.run(1)
    with pytest.raises(ConditionFailed):
        changes.record_root_told(instance.id, generation)
    assert instances.get_instance(instance.id).root_enabled_at == first


def test_a_deleted_instance_is_history_only(world: World) -> None:
    instance = active()
    operation = delete_operation(instance)
    accepting.accept(instance, operation)
    end_operation(stored(operation), DELETED)
    with pytest.raises(NotFound):
        instances.get_instance(instance.id)
    row = instances.find_instance(instance.id)
    assert row is not None
    assert row.status == Status.DELETED
    assert row.deleted_at == world.now
    assert row.expires is not None
    assert row.expires.timestamp() == world.now + 30 * 86400
    assert lists.of_tenant(TENANT, 10, None) == ([], None)
    assert instances.service_status(instance.id) is None
    ended = stored(operation)
    assert ended.live is None
    assert ended.expires is not None


def test_a_delete_queued_behind_a_delete_ends_with_it(world: World) -> None:
    instance = active()
    first = delete_operation(instance)
    accepting.accept(instance, first)
    instances.reset_status(instances.get_instance(instance.id), "stuck")
    row, second = instances.get_instance(instance.id), delete_operation(instance)
    assert row.status == Status.ERROR
    assert accepting.accept(row, second)
    assert end_operation(stored(first), DELETED) is None
    assert stored(second).status == OperationStatus.SUCCEEDED
    assert stored(second).live is None
    assert operations.due_operations(world.now + 10_000, 10) == []


def test_what_an_operation_made_is_moved_to_its_instance(world: World) -> None:
    instance, operation = accepted()
    row = operations.take_lease(operation.id, "network")
    made = {"port_id": "port-1", "addresses": [{"address": "127.77.1.2", "type": "private"}]}
    operations.release_lease(row, "network", ended=True, resources=made)
    end_operation(stored(operation), CREATED)
    after = instances.get_instance(instance.id)
    assert after.resources == {"port_id": "port-1"}
    assert after.addresses == made["addresses"]


def test_the_secrets_of_an_operation_do_not_outlive_it(world: World) -> None:
    instance = new_instance()
    operation = create_operation(instance, b"the password")
    accepting.accept_create(instance, operation, {"instances": 1, "ram": 1, "volumes": 1})
    assert operations.sealed_arguments(stored(operation))
    assert stored(operation).sealed_args is None, "each lease would pay for it"
    end_operation(stored(operation), CREATED)
    assert list(Arguments.scan()) == []


def test_an_operation_that_the_release_before_stored_has_its_arguments_in_its_row(
    world: World,
) -> None:
    operation = create_operation(new_instance(), b"the password")
    assert operations.sealed_arguments(operation) == operation.sealed_args


def test_a_delete_does_not_push_aside_one_that_was_queued_and_reset_meanwhile(
    world: World,
) -> None:
    """Status and live operation look as they did; only the queue behind it differs."""
    instance, operation = accepted()
    instances.reset_status(instances.get_instance(instance.id), "forced")
    row, first, second = (
        instances.get_instance(instance.id),
        delete_operation(instance),
        delete_operation(instance),
    )

    def meanwhile() -> None:
        assert accepting.accept(instances.get_instance(instance.id), first)
        assert instances.reset_status(instances.get_instance(instance.id), "forced again")

    world.interruptions["dynamodb.TransactWriteItems"] = meanwhile
    assert not accepting.accept(row, second)
    assert instances.get_instance(instance.id).next_operation_id == first.id
    assert end_operation(stored(operation), CREATE_FAILED) == first.id
