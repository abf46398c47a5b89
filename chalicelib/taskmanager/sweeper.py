"""The sweeper: repeats what was accepted and got lost, and ends what cannot be ended otherwise.

Each live operation has a time at which somebody should have moved it, set by what it waits for.
Past that time:

    no execution of it        the hint was lost             start it
    an execution that runs    slow, or waiting for a guest  look again later; wake it past its bound
      and waits long          its server may be gone        have that looked at, ever less often
      and does not wake up    its token is lost             stop it
    a closed execution        it died without its end       start the next attempt
      out of attempts, and    nothing else ends it          give up
      late or going back
"""

from __future__ import annotations

import contextlib
import logging
from typing import Final

from chalicelib import aws, crash, tracing
from chalicelib.bus import queues
from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import TERMINAL, OperationStatus
from chalicelib.settings import settings
from chalicelib.store import ending, events, generations, operations, spans
from chalicelib.store.base import ConditionFailed, as_dict
from chalicelib.store.models import Operation
from chalicelib.taskmanager import dispatcher, executions, schedules
from chalicelib.taskmanager.executions import Execution
from chalicelib.taskmanager.pages import from_both_ends

SWEEP_SECONDS: Final = 12.0
"""Less than the function's 20 s; what is left then is due in the next sweep too."""
MINUTE_SECONDS: Final = 17.0
"""The same with the schedules, which have what a sweep leaves."""
PAGE: Final = 100
QUEUED_SECONDS: Final = 3600.0
"""A queued operation waits for the one before it, whose last transaction makes it due."""
MOST_LOOKS: Final = 50
"""At servers, in a sweep. Where more wait at once it is no server that is missing."""
LOOK_AGAIN_SECONDS: Final = 45
"""Less than the minute between two sweeps: else every second one would pass it by."""
STUCK_SECONDS: Final = 90.0
"""Past a deadline: a sweep that wakes what waits, and the way from there to the first removal."""

log = logging.getLogger(__name__)


class SweepFailed(Exception):
    """Some operations could not be swept: raised at the end, so that the function's errors tell."""


def minute() -> dict[str, int]:
    """All that is the sweeper's in a minute: a sweep, and what is due of schedules of backups."""
    until = aws.clock() + MINUTE_SECONDS
    try:
        swept = run()
    finally:
        told = schedules.tell_due(until)
    return {**swept, "schedules": told}


def run() -> dict[str, int]:
    """One sweep; answers how many operations were seen and how many were started again."""
    seen = started = failed = 0
    until, waiting = aws.clock() + SWEEP_SECONDS, list[Operation]()
    with tracing.span(log, "sweep") as span, crash.scope("sweeper"):
        for operation_id in from_both_ends(operations.due_operations, PAGE, until):
            operation = operations.get_operation(operation_id)
            if operation is None or operation.status in TERMINAL:
                continue
            seen += 1
            try:
                started += _sweep(operation, waiting)
            except ConditionFailed:
                log.info("%s was moved by somebody else", operation_id)
            except executions.Throttled:
                log.warning("Step Functions is busy; the next sweep goes on")
                break
            except Exception:
                log.exception("%s could not be swept; the others still are", operation_id)
                failed += 1
                with contextlib.suppress(ConditionFailed):  # else it stands before them again
                    operations.look_again(operation, LOOK_AGAIN_SECONDS)
        _look_at_servers(waiting, until)
        span.tell(count=seen, started=started, failed=failed)
    if failed:
        events.alarm("job.failed", f"sweeper: {failed} of {seen} operations could not be swept")
        raise SweepFailed(f"{failed} of {seen} operations could not be swept")
    return {"seen": seen, "started": started}


def _sweep(operation: Operation, waiting: list[Operation]) -> int:
    """How many it started: one or none; `waiting` gets one more whose server is to be looked at."""
    if operation.status == OperationStatus.QUEUED:
        if not ending.end_forgotten(operation):
            operations.look_again(operation, QUEUED_SECONDS)
        return 0
    state = executions.state(operation)
    if state is Execution.RUNNING:
        if _is_stuck(operation):
            log.warning("%s waits for what cannot come; its execution is stopped", operation.id)
            executions.stop(operation)
        else:
            dispatcher.wake_if_over(operation)
            if _waits_long(operation):
                waiting.append(operation)
        operations.look_again(operation, _patience(operation))
        return 0
    if state is Execution.CLOSED and _is_hopeless(operation):
        _give_up(operation)
        return 0
    told = spans.told_of(operation)
    with tracing.span(log, "dispatch", spans.place_of(operation), **told) as span:
        if state is Execution.CLOSED:
            operations.start_attempt(operation)
        executions.start(operation)
        operations.look_again(operation, LOOK_AGAIN_SECONDS)
        span.tell(outcome="swept", attempt=int(operation.attempt))
    return 1


def _patience(operation: Operation) -> float:
    """In how many seconds to look again at an operation whose execution runs."""
    step = _asking(operation)
    if step is None or dispatcher.waits_in_vain(operation, step):
        return LOOK_AGAIN_SECONDS
    now = aws.clock()
    left, waited = operations.bound_of(operation, step) - now, _waited(operation, step)
    return max(min(left, max(waited, operations.FIRST_LOOK_SECONDS)), LOOK_AGAIN_SECONDS)


def _waited(operation: Operation, step: str) -> float:
    now = aws.clock()
    return now - float(as_dict(operation.started).get(step, now))


def _waits_long(operation: Operation) -> bool:
    """Whether its server is looked at: each time after as long again as it has waited."""
    step = _asking(operation)
    if step is None or dispatcher.waits_in_vain(operation, step):
        return False
    return _waited(operation, step) >= operations.FIRST_LOOK_SECONDS


def _look_at_servers(waiting: list[Operation], until: float) -> None:
    """With the time that is left: what got lost does not wait behind them."""
    for operation in waiting[:MOST_LOOKS]:
        if aws.clock() > until:
            return
        try:
            executions.look(operation)
        except executions.Throttled:
            return


def _asking(operation: Operation) -> str | None:
    """The step that has begun and ends with the answer of a guest, if that is the present one."""
    step = operation.step
    asks = FLOWS[operation.action].waits_for_guest(step)
    return step if asks and step not in as_dict(operation.ended) else None


def _is_stuck(operation: Operation) -> bool:
    """Whether an operation goes neither on nor back although what bounds it is long over.

    Its execution waits for a token that nobody has: the worker that was given it died before it
    was stored, and not every Step Functions ends the task then (MiniStack waits for its timeout).
    """
    now, flow = aws.clock(), FLOWS[operation.action]
    if not flow.revocable or (operation.lease_until is not None and now <= operation.lease_until):
        return False
    step = _asking(operation)
    if operation.compensating:
        return step is not None and now > operations.bound_of(operation, step) + STUCK_SECONDS
    left = flow.left(as_dict(operation.ended))
    return bool(left) and now > operation.deadline + STUCK_SECONDS


def _is_hopeless(operation: Operation) -> bool:
    """Whether an operation has to end, and its executions all die.

    One that goes forward and is in time, or goes on behind that, has as many as it needs: what
    kills them may pass.
    """
    out_of_attempts = operation.attempt + 1 >= settings().operation_attempts
    step, until = operation.step, float(operation.deadline)
    if step is not None and step in as_dict(operation.resources).get(operations.PROGRESS, {}):
        until = max(until, operations.bound_of(operation, step))
    late = aws.clock() > until + STUCK_SECONDS
    return bool(out_of_attempts and (late or operation.cancelled or operation.compensating))


def _give_up(operation: Operation) -> None:
    """End an operation whose executions all died; its row tells what it made.

    The cloud is not asked, so that the server runs on. A guest that is not to stay is nobody from
    now on all the same; the rebuild that comes next takes its key and its queue away.
    """
    flow, made = FLOWS[operation.action], as_dict(operation.resources)
    if flow.disowns and flow.replaces in made and flow.disowns not in made:
        generations.begin(operation, flow.disowns)
    reason = (
        f"Given up after {int(operation.attempt) + 1} attempts, the last one in "
        f"{operation.step or 'no step'}."
    )
    given_up = ending.failure(operation, OperationStatus.FAILED, reason)
    following = ending.end_operation(operation, given_up)
    if following is not None:
        queues.notify_task_manager(following)
