"""Operation rows: whose turn it is, what is done, and what the sweeper sees."""

from __future__ import annotations

import pytest

from chalicelib.domain.operations import OperationStatus
from chalicelib.settings import settings
from chalicelib.store import operations
from chalicelib.store.base import ConditionFailed, as_dict
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Operation
from tests.support.bare import World
from tests.support.rows import accepted, access_operation, new_instance


@pytest.fixture
def operation(world: World) -> Operation:
    return accepted()[1]


def stored(operation: Operation) -> Operation:
    row = operations.get_operation(operation.id)
    assert row is not None
    return row


def test_a_lease_is_one_workers_until_it_is_given_back(operation: Operation) -> None:
    row = operations.take_lease(operation.id, "volume")
    assert row.status == OperationStatus.RUNNING
    with pytest.raises(ConditionFailed):
        operations.take_lease(operation.id, "volume")
    with pytest.raises(ConditionFailed):
        operations.take_lease(operation.id, "network")
    operations.release_lease(row, "volume", ended=False)
    operations.take_lease(operation.id, "volume")


def test_a_lease_runs_out(world: World, operation: Operation) -> None:
    first = operations.take_lease(operation.id, "volume")
    world.run(settings().lease_seconds + 1)
    second = operations.take_lease(operation.id, "volume")
    assert second.lease_id != first.lease_id
    with pytest.raises(ConditionFailed):
        operations.release_lease(first, "volume", ended=True, resources={"volume_id": "late"})
    assert as_dict(stored(operation).resources) == {}
    assert stored(operation).lease_id == second.lease_id


def test_a_step_that_is_done_is_not_leased_again(operation: Operation) -> None:
    row = operations.take_lease(operation.id, "volume")
    operations.release_lease(row, "volume", ended=True, resources={"volume_id": "1"})
    with pytest.raises(ConditionFailed):
        operations.take_lease(operation.id, "volume")
    operations.take_lease(operation.id, "network")


def test_a_step_remembers_its_first_start(world: World, operation: Operation) -> None:
    row = operations.take_lease(operation.id, "server")
    operations.release_lease(row, "server", ended=False)
    started = world.now
    world.run(5)
    row = operations.take_lease(operation.id, "server")
    assert as_dict(row.started) == {"server": started}


def test_nothing_is_leased_of_an_operation_that_ended(operation: Operation) -> None:
    ending = Ending(OperationStatus.SUCCEEDED)
    end_operation(operation, ending)
    with pytest.raises(ConditionFailed):
        operations.take_lease(operation.id, "volume")
    with pytest.raises(ConditionFailed):
        operations.take_lease("no-such-operation", "volume")
    assert operations.get_operation("no-such-operation") is None


def test_the_first_reason_stays(operation: Operation) -> None:
    row = operations.take_lease(operation.id, "volume")
    operations.release_lease(row, "volume", ended=False, reason="quota exceeded")
    operations.begin_compensation(stored(operation), "something else")
    after = stored(operation)
    assert after.compensating
    assert after.reason == "quota exceeded"


def test_a_refusal_is_noted_with_a_create_of_that_generation(operation: Operation) -> None:
    row = operations.note_refusal(operation.id, 1, "server-1", "n" * 300)
    assert (row.enrolled_server, as_dict(row.notes)) == ("server-1", {"prepare": "n" * 255})
    for generation, of in ((2, operation), (1, access_operation(new_instance(), {}))):
        of.save()
        with pytest.raises(ConditionFailed):
            operations.note_refusal(of.id, generation, "server-2", "late")
    end_operation(stored(operation), Ending(OperationStatus.SUCCEEDED))
    with pytest.raises(ConditionFailed):
        operations.note_refusal(operation.id, 1, "server-2", "late")


def test_an_attempt_is_counted_by_one_sweeper(operation: Operation) -> None:
    one, two = stored(operation), stored(operation)
    operations.start_attempt(one)
    with pytest.raises(ConditionFailed):
        operations.start_attempt(two)
    assert stored(operation).attempt == 1


def test_the_sweeper_sees_what_is_due_longest_overdue_first(world: World) -> None:
    first = accepted()[1]
    world.run(10)
    second = accepted()[1]
    assert operations.due_operations(world.now, 10) == []
    world.run(31)
    assert operations.due_operations(world.now, 10) == [first.id, second.id]
    assert operations.due_operations(world.now, 1) == [first.id]
    operations.look_again(first, 60)
    assert operations.due_operations(world.now, 10) == [second.id]


def test_steps_that_follow_at_once_move_the_sweepers_look_once(
    world: World, operation: Operation
) -> None:
    """Each move is two writes of the index."""
    looks = set()
    for step in ("volume", "network", "message_queue", "server"):
        row = operations.take_lease(operation.id, step)
        operations.release_lease(row, step, ended=True)
        looks.add(int(stored(operation).check_at or 0))
        world.run(3)
    assert len(looks - {int(operation.check_at or 0)}) == 1
    assert operations.due_operations(world.now + 90, 10) == []


@pytest.mark.parametrize("seconds", [240, 80_000], ids=["a poll", "a guest"])
def test_an_operation_is_due_when_what_it_waits_for_should_be_over(
    world: World, operation: Operation, seconds: int
) -> None:
    row = operations.take_lease(operation.id, "prepare")
    operations.release_lease(row, "prepare", ended=False, until=world.now + seconds)
    assert operations.due_operations(world.now + seconds, 10) == []
    assert operations.due_operations(world.now + seconds + 30, 10) == [operation.id]


def test_the_live_index_is_spread_and_rows_of_the_release_before_are_swept(world: World) -> None:
    rows = [accepted(str(number))[1] for number in range(60)]
    assert {row.live for row in rows} == {f"live-{shard}" for shard in range(8)}
    older = rows[0]
    older.update(actions=[Operation.live.set("live")])
    assert set(operations.due_operations(world.now + 31, 100)) == {row.id for row in rows}
    assert operations.due_operations(world.now + 31, 100, latest=True)[-1] in {
        row.id for row in rows
    }


def test_the_operations_of_an_instance_are_told_newest_first(world: World) -> None:
    instance, operation = accepted()
    assert [row.id for row in operations.operations_of(instance.id)] == [operation.id]
    assert operations.operations_of("another") == []


def test_an_answer_that_comes_after_the_turn_ends_no_step_of_the_way_forward(
    operation: Operation,
) -> None:
    operations.take_lease(operation.id, "prepare")
    operations.begin_compensation(stored(operation), "it was late")
    with pytest.raises(ConditionFailed):
        operations.end_step(operation.id, "prepare", backwards=False)
    operations.end_step(operation.id, "calm_down", backwards=True)
    assert list(as_dict(stored(operation).ended)) == ["calm_down"]
