"""Rows of commands: one answer, of the guest that was asked, and progress that never goes back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chalicelib.store import commands
from chalicelib.store.base import ConditionFailed
from chalicelib.store.models import Command
from tests.support.bare import World

ID = "command-1"
GUEST = ("instance-1", 2)
OTHERS = [("another instance", 2), ("instance-1", 1), ("instance-1", 3)]


def new_command(world: World, method: str = "prepare") -> Command:
    return Command(
        ID,
        instance_id=GUEST[0],
        generation=GUEST[1],
        method=method,
        operation_id="operation-1",
        created=world.now,
        deadline=world.now + 60,
        expires=datetime.fromtimestamp(world.now + 86400, UTC),
    )


def stored() -> Command:
    row = commands.find(ID)
    assert row is not None
    return row


def test_a_token_makes_the_whole_row_when_there_is_none(world: World) -> None:
    commands.wait_with_token(new_command(world), "token-1")
    wanted = new_command(world)
    wanted.token = "token-1"
    assert stored().attribute_values == wanted.attribute_values


def test_a_token_changes_nothing_else_of_a_row_that_is_there(world: World) -> None:
    """A step that runs again asks under the same id: what was fixed once stays."""
    commands.add(new_command(world))
    before = stored()
    world.run(30)
    later = new_command(world, "another method")
    later.instance_id, later.generation, later.operation_id = "another", 9, "operation-2"
    commands.wait_with_token(later, "token-2")
    before.token = "token-2"
    assert stored().attribute_values == before.attribute_values


@pytest.mark.parametrize("error", [None, {"code": "failed", "message": "no"}])
def test_an_answer_is_stored_once(world: World, error: dict[str, str] | None) -> None:
    commands.add(new_command(world))
    world.run(5)
    row = commands.answer(ID, *GUEST, {"made": 1}, error)
    assert (row.answered, row.result, row.error) == (
        (world.now, {"made": 1}, None) if error is None else (world.now, None, error)
    )
    with pytest.raises(ConditionFailed):
        commands.answer(ID, *GUEST, {"made": 2}, None)
    assert stored().result == row.result


@pytest.mark.parametrize("guest", OTHERS)
def test_nobody_else_answers_or_tells_how_far_it_is(world: World, guest: tuple[str, int]) -> None:
    commands.add(new_command(world))
    before = stored()
    with pytest.raises(ConditionFailed):
        commands.answer(ID, *guest, {}, None)
    with pytest.raises(ConditionFailed):
        commands.progress(ID, *guest, (1, 1), "stage")
    assert stored().attribute_values == before.attribute_values


def test_a_command_that_is_not_there_is_not_answered(world: World) -> None:
    with pytest.raises(ConditionFailed):
        commands.answer(ID, *GUEST, {}, None)
    with pytest.raises(ConditionFailed):
        commands.progress(ID, *GUEST, (1, 1), "stage")
    assert commands.find(ID) is None


def test_progress_goes_forward_only(world: World) -> None:
    commands.add(new_command(world))
    for order in ((1, 7), (1, 8), (2, 1)):
        commands.progress(ID, *GUEST, order, f"stage {order}")
        assert stored().stage == f"stage {order}"
    for order in ((2, 1), (2, 0), (1, 9)):
        with pytest.raises(ConditionFailed):
            commands.progress(ID, *GUEST, order, "an older stage")
    assert stored().stage == "stage (2, 1)"


def test_what_was_answered_is_no_more_under_way(world: World) -> None:
    commands.add(new_command(world))
    commands.answer(ID, *GUEST, {}, None)
    with pytest.raises(ConditionFailed):
        commands.progress(ID, *GUEST, (1, 1), "stage")


def test_a_command_that_is_asked_again_waits_longer(world: World) -> None:
    first = commands.add(new_command(world))
    asked, deadline = float(first.created), float(first.deadline)
    world.run(300)
    row = commands.add(new_command(world))
    assert float(row.deadline) == deadline + 300
    assert float(row.created) == asked, "when it was asked first"


def test_an_answer_stands_however_often_it_is_asked_for(world: World) -> None:
    commands.add(new_command(world))
    commands.answer(ID, *GUEST, {"done": True}, None)
    answered = stored()
    world.run(300)
    row = commands.add(new_command(world))
    assert row.result == {"done": True}
    assert row.deadline == answered.deadline
