"""Bugs of what moves the flows: the sweeper, the refusals of enrolments, reasons."""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib import aws
from chalicelib.conductor import refusals
from chalicelib.domain.flows import Flow, Step
from chalicelib.domain.operations import STARTABLE, OperationAction
from chalicelib.store import base, ending, operations
from chalicelib.store.models import Operation
from chalicelib.taskmanager import dispatcher, sweeper
from functions import create_instance, handler
from functions import ending as last_steps
from functions.step import Step as Run
from infra.package import state_machines
from tests.saboteurs.registry import Instead, Patch, saboteur


def _with_catch(patch: Patch) -> None:
    """Definitions in which an error that outlasts its retries leads where a failure does."""
    original = state_machines._step

    def step(flow: Flow, step: Step, following: str, *, instead: str) -> dict[str, Any]:
        states = original(flow, step, following, instead=instead)
        caught = {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": instead}
        for state in states.values():
            if state["Type"] == "Task":
                state["Catch"] = [caught]
        return states

    patch.setattr(state_machines, "_step", step)


@saboteur("without Lambda", "L1")
def eight_retries_then_the_removals(patch: Patch) -> None:
    """A step that Lambda refuses for a minute sends its operation back."""
    few = {"MaxAttempts": 8, "MaxDelaySeconds": 8}
    patch.setattr(state_machines, "RETRY", state_machines.RETRY | few)
    _with_catch(patch)


@saboteur("without Lambda", "L1")
def given_up_with_its_first_execution(patch: Patch) -> None:
    """One retry, and an operation whose execution died is given up, in time or not."""
    patch.setattr(state_machines, "RETRY", state_machines.RETRY | {"MaxAttempts": 1})
    patch.setattr(sweeper, "_is_hopeless", lambda _: True)


@saboteur("lost hints", "L1")
def no_sweeper(patch: Patch) -> None:
    """Nobody repeats what was accepted and got lost."""
    patch.setattr(sweeper, "run", lambda: {"seen": 0, "started": 0})


@saboteur("calm", "L10")
def a_sweep_that_errs(patch: Patch) -> None:
    """A sweep ends in an error when all its work is done."""
    original = sweeper.run

    def run() -> dict[str, int]:
        raise KeyError(original()["seen"])

    patch.setattr(sweeper, "run", run)


@saboteur("unknown results", "L1", "L3")
def no_reason_told(patch: Patch) -> None:
    """A failed operation does not say why."""
    original = ending.end_operation

    def end_operation(operation: Operation, how: ending.Ending) -> str | None:
        operation.reason = None
        operation.update(actions=[Operation.reason.remove()])
        return original(operation, msgspec.structs.replace(how, reason=""))

    patch.setattr(ending, "end_operation", end_operation)


@saboteur("races", "L1")
def a_sweeper_that_trusts_executions(patch: Patch) -> None:
    """The sweeper neither wakes nor stops what runs: it will end some day."""
    patch.setattr(sweeper, "_is_stuck", lambda _: False)
    patch.setattr(sweeper, "dispatcher", Instead(dispatcher, wake_if_over=lambda _: None))


@saboteur("slow disks", "L1")
def a_sweeper_without_patience(patch: Patch) -> None:
    """The sweeper stops a create that nobody moves at the moment, whether it is late or not."""

    def is_stuck(operation: Operation) -> bool:
        held = operation.lease_until is not None and aws.clock() <= operation.lease_until
        forward = operation.action == OperationAction.CREATE and not operation.compensating
        return forward and not held

    patch.setattr(sweeper, "_is_stuck", is_stuck)


@saboteur("thieves", "I9")
def any_refusal_ends_the_create(patch: Patch) -> None:
    """A create goes back when anybody was refused as its guest, a thief of its token too."""
    original = refusals.verdict
    patch.setattr(refusals, "verdict", lambda _: "Another guest asked to enrol.")
    patch.setattr(create_instance, "refusals", Instead(refusals, verdict=original))


@saboteur("thieves", "I9")
def the_refused_server_taken_for_the_enrolled(patch: Patch) -> None:
    """What is compared with a create's own server is the server that was refused."""
    original = operations.note_refusal

    def note_refusal(operation_id: str, generation: int, _: str, note: str) -> Operation:
        return original(operation_id, generation, note.split()[1], note)

    patch.setattr(refusals, "operations", Instead(operations, note_refusal=note_refusal))


@saboteur("deaths and deployments", "L1")
def attempts_counted_from_a_count(patch: Patch) -> None:
    """The next attempt begins only where the row has a count of attempts already."""

    def start_attempt(row: Operation) -> None:
        uncounted = Operation.attempt == row.attempt
        actions: list[Any] = [Operation.attempt.add(1)]
        actions.append(Operation.check_at.set(aws.clock() + 30))
        base.update_if(row, actions, Operation.status.is_in(*STARTABLE) & uncounted)

    patch.setattr(operations, "start_attempt", start_attempt)


@saboteur("races", "L1")
def a_delete_that_could_be_undone(patch: Patch) -> None:
    """A delete that was forced on its way is refused its last step, as a create is."""
    complete = Run(last_steps.complete, ends=True)
    patch.setitem(handler.LOCAL_STEPS, "delete_instance.complete", complete)
