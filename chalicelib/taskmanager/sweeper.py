"""The sweeper: repeats what was accepted and got lost, and ends what cannot be ended otherwise.

Each live operation has a time at which somebody should have moved it. Past that time:

    no execution of it        the hint was lost             start it
    an execution that runs    slow, or waiting for a guest  look again later; wake it past its bound
      and does not wake up    its token is lost             stop it
    a closed execution        it died without its end       start the next attempt
      out of attempts, and    nothing else ends it          give up
      late or going back
"""

from __future__ import annotations

import logging
from typing import Final

from chalicelib import aws, crash
from chalicelib.bus import queues
from chalicelib.domain.flows import CREATE, FLOWS
from chalicelib.domain.operations import TERMINAL, OperationStatus
from chalicelib.settings import settings
from chalicelib.store import instances, operations
from chalicelib.store.base import ConditionFailed, as_dict
from chalicelib.store.instances import Ending
from chalicelib.store.models import Operation
from chalicelib.taskmanager import dispatcher, executions
from chalicelib.taskmanager.executions import Execution

MOST_PER_RUN: Final = 200
LOOK_AGAIN_SECONDS: Final = 45
"""Less than the minute between two sweeps: else every second one would pass it by."""
STUCK_SECONDS: Final = 90.0
"""Past a deadline: a sweep that wakes what waits, and the way from there to the first removal."""

log = logging.getLogger(__name__)


def run() -> dict[str, int]:
    """One sweep; answers how many operations were seen and how many were started again."""
    seen = started = 0
    with crash.scope("sweeper"):
        for operation_id in operations.due_operations(aws.clock(), MOST_PER_RUN):
            operation = operations.get_operation(operation_id)
            if operation is None or operation.status in TERMINAL:
                continue
            seen += 1
            try:
                started += _sweep(operation)
            except ConditionFailed:
                log.info("%s was moved by somebody else", operation_id)
            except executions.Throttled:
                log.warning("Step Functions is busy; the next sweep goes on")
                break
            except Exception:
                log.exception("%s could not be swept; the others still are", operation_id)
    return {"seen": seen, "started": started}


def _sweep(operation: Operation) -> int:
    if operation.status == OperationStatus.QUEUED:
        operations.look_again(operation, LOOK_AGAIN_SECONDS)
        return 0
    state = executions.state(operation)
    if state is Execution.RUNNING:
        if _is_stuck(operation):
            log.warning("%s waits for what cannot come; its execution is stopped", operation.id)
            executions.stop(operation)
        else:
            dispatcher.wake_if_over(operation)
        operations.look_again(operation, LOOK_AGAIN_SECONDS)
        return 0
    if state is Execution.CLOSED:
        if _is_hopeless(operation):
            _give_up(operation)
            return 0
        operations.start_attempt(operation)
    executions.start(operation)
    operations.look_again(operation, LOOK_AGAIN_SECONDS)
    log.warning("%s was started by the sweeper (attempt %s)", operation.id, operation.attempt)
    return 1


def _is_stuck(operation: Operation) -> bool:
    """Whether an operation neither ended nor went back although its deadline is long over.

    Its execution waits for a token that nobody has: the worker that was given it died before it
    was stored, and not every Step Functions ends the task then (MiniStack waits for its timeout).
    """
    now, flow = aws.clock(), FLOWS[operation.action]
    return (
        flow.revocable
        and bool(flow.left(as_dict(operation.ended)))
        and not operation.compensating
        and now > operation.deadline + STUCK_SECONDS
        and (operation.lease_until is None or now > operation.lease_until)
    )


def _is_hopeless(operation: Operation) -> bool:
    """Whether an operation has to end, and its executions all die.

    One that goes forward and is in time has as many as it needs: what kills them may pass.
    """
    out_of_attempts = operation.attempt + 1 >= settings().operation_attempts
    late = aws.clock() > operation.deadline + STUCK_SECONDS
    return bool(out_of_attempts and (late or operation.cancelled or operation.compensating))


def _give_up(operation: Operation) -> None:
    """End an operation whose executions all died; what it made stays on the instance's row."""
    flow = FLOWS[operation.action]
    following = instances.end_operation(
        operation,
        Ending(
            OperationStatus.FAILED,
            flow.failed,
            reason=f"Given up after {int(operation.attempt) + 1} attempts, the last one in "
            f"{operation.step or 'no step'}; delete the instance to remove what is left.",
            changes=instances.recorded_resources(operation) if flow is CREATE else (),
        ),
    )
    if following is not None:
        queues.notify_task_manager(following)
