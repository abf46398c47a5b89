"""Commands to guests: a row each, with the task token that waits and the guest's answer."""

from __future__ import annotations

from typing import Any

from pynamodb.exceptions import PutError
from pynamodb.expressions.update import Action

from chalicelib import aws
from chalicelib.store.base import ConditionFailed, condition_failed, update_if
from chalicelib.store.models import Command


def find(command_id: str) -> Command | None:
    """The row, read consistently, or None."""
    try:
        return Command.get(command_id, consistent_read=True)
    except Command.DoesNotExist:
        return None


def add(row: Command) -> Command:
    """Store a command that a request waits for; the row is as it is then.

    One of that id that is there is waited for once more, to the new deadline. Clause: it has no
    answer yet (the guest's, which comes at last).
    """
    again: list[Action] = [Command.deadline.set(row.deadline), Command.expires.set(row.expires)]
    try:
        row.save(condition=Command.id.does_not_exist())
    except PutError as error:
        if not condition_failed(error):
            raise
        unanswered = Command.id.exists() & Command.answered.does_not_exist()
        try:
            update_if(row, again, unanswered)
        except ConditionFailed:
            row.refresh(consistent_read=True)
    return row


def wait_with_token(row: Command, token: str) -> None:
    """Let a task token wait for a command, stored before or not; the row is as it is then."""
    keep(row, Command.token.set(token))


def keep(row: Command, *more: Action) -> None:
    """Store a command that a step asks for, unless it was before; the row is as it is then."""
    fixed: list[tuple[Any, Any]] = [
        (Command.instance_id, row.instance_id),
        (Command.generation, row.generation),
        (Command.method, row.method),
        (Command.operation_id, row.operation_id),
        (Command.backwards, row.backwards),
        (Command.created, row.created),
        (Command.deadline, row.deadline),
        (Command.expires, row.expires),
        *([(Command.traceparent, row.traceparent)] if row.traceparent else []),
    ]
    row.update(actions=[*more, *(each.set(each | value) for each, value in fixed)])


def answer(
    command_id: str,
    instance_id: str,
    generation: int,
    result: dict[str, Any],
    error: dict[str, str] | None,
) -> Command:
    """Store the answer of a command, once: its result, or the error; returns the row as it is then.

    Clauses: the command exists and was for that guest (another guest's answer) and generation (a
    zombie's); it has no answer yet (a second delivery). Raises `ConditionFailed`.
    """
    row = Command(command_id)
    told = Command.result.set(result) if error is None else Command.error.set(error)
    clause = (
        (Command.instance_id == instance_id)
        & (Command.generation == generation)
        & Command.answered.does_not_exist()
    )
    update_if(row, [Command.answered.set(aws.clock()), told], clause)
    return row


def progress(
    command_id: str,
    instance_id: str,
    generation: int,
    order: tuple[int, int],
    stage: str,
    again_seconds: float = 0.0,
) -> Command:
    """Store how far a guest is with a command; `order` is (epoch, seq) of its report, and it tells
    so again within `again_seconds`, if that is not 0.

    Returns the row as it is then.

    Clauses: the command was for that guest and generation, has no answer yet (a report that was
    overtaken), and none of its reports that was applied is later. Raises `ConditionFailed`.
    """
    epoch, seq = order
    later = (
        Command.progress_epoch.does_not_exist()
        | (Command.progress_epoch < epoch)
        | ((Command.progress_epoch == epoch) & (Command.progress_seq < seq))
    )
    clause = (
        (Command.instance_id == instance_id)
        & (Command.generation == generation)
        & Command.answered.does_not_exist()
        & later
    )
    actions: list[Action] = [
        Command.stage.set(stage),
        Command.progress_epoch.set(epoch),
        Command.progress_seq.set(seq),
    ]
    if again_seconds:
        actions.append(Command.again.set(aws.clock() + again_seconds))
    row = Command(command_id)
    update_if(row, actions, clause)
    return row
