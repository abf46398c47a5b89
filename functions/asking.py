"""Steps that ask the guest: the command goes out once, and its answer ends the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from chalicelib import aws
from chalicelib.bus import commands
from chalicelib.bus.contract import Method
from chalicelib.bus.contract.values import Value
from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import command_id
from chalicelib.store import commands as rows
from chalicelib.store import instances
from chalicelib.store.models import Command, Instance, Operation
from chalicelib.store.operations import bound_of
from functions.outcomes import Done, Failed, Outcome, Pending

A = TypeVar("A", bound=Value)


def ask(
    operation: Operation,
    token: str | None,
    step: str,
    method: Method[A, Any],
    arguments: Callable[[Instance], A],
) -> Outcome:
    """Send a command and leave the task token with its row, where the conductor finds it.

    The command's id is the step's, so a second run of the step asks for the same thing: the guest
    answers it from its journal. Nobody is asked when the step's bound is over.
    """
    if token is None:
        return Failed(f"{step} needs a task token")
    flow, bound = FLOWS[operation.action], bound_of(operation, step)
    declared = flow.named(step)
    assert declared is None or declared.asks == method.name, "a step asks for what it declares"
    instance = instances.get_instance(operation.instance_id)
    row = commands.await_with_token(
        commands.new_command(
            command_id(operation.id, step),
            instance,
            method.name,
            deadline=bound,
            operation_id=operation.id,
            backwards=flow.undoes(step),
        ),
        token,
    )
    if fault := commands.fault_of(row):
        said = declared.failed if declared else step
        return Failed(f"{said}: {fault.message}")
    if row.answered is not None:
        return Done()
    if aws.clock() > bound:
        return Failed(declared.late if declared else step)
    commands.send(instance, row, arguments(instance))
    return Pending()


def ask_by_polls(
    operation: Operation, step: str, method: Method[A, Any], arguments: A, *, until: float
) -> Command:
    """Send a command, the first time, and answer its row as it is: for what no token waits for.

    A worker that dies between the row and the message has sent nothing: whoever polls goes on when
    the time is over.
    """
    known = rows.find(command_id(operation.id, step))
    if known is not None:
        return known
    instance = instances.get_instance(operation.instance_id)
    made = commands.new_command(
        command_id(operation.id, step),
        instance,
        method.name,
        deadline=until,
        operation_id=operation.id,
    )
    rows.keep(made)
    commands.send(instance, made, arguments)
    return made
