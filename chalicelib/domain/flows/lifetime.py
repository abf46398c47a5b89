"""How an instance begins and ends."""

from __future__ import annotations

from typing import Final

from chalicelib.domain.flows.form import Flow, Runs, Step, Waits
from chalicelib.domain.operations import OperationAction
from chalicelib.service_status import ServiceStatus
from chalicelib.status import Status


def _removal(what: str, runs: Runs = Runs.CLOUD) -> Step:
    return Step(f"remove_{what}", runs, timeout="delete_timeout_seconds", shared=True)


_REMOVALS: Final = (
    _removal("server"),
    _removal("volume"),
    _removal("network"),
    _removal("message_queue", Runs.LOCAL),
)
REMOVALS: Final = tuple(each.name for each in _REMOVALS)
"""The steps that take away what a create made: its compensations, and the body of a delete."""

PREPARE: Final = Step(
    "prepare",
    Runs.LOCAL,
    Waits.GUEST,
    asks="prepare",
    admits=True,
    late="The guest agent did not finish preparing the database in time",
    failed="The guest agent failed to prepare the database",
)

CREATE: Final = Flow(
    action=OperationAction.CREATE,
    title="create",
    comment="Makes an instance. A step that cannot be done leads to the removals, then to ERROR "
    "with its reason.",
    steps=(
        Step("volume"),
        Step("network"),
        Step("message_queue", Runs.LOCAL),
        Step("server"),
        PREPARE,
    ),
    undo=_REMOVALS,
    during=Status.BUILD,
    done=Status.ACTIVE,
    undone=Status.ERROR,
    timeout="create_timeout_seconds",
    told_failed="{reason} Not undone: {left}; delete the instance to try again.",
    reported=ServiceStatus.HEALTHY,
)

DELETE: Final = Flow(
    action=OperationAction.DELETE,
    title="delete",
    comment="Takes an instance away. What cannot be removed leads to ERROR with its reason.",
    steps=_REMOVALS,
    sources=frozenset(Status) - {Status.BUILD, Status.DELETED},
    during=Status.SHUTDOWN,
    done=Status.DELETED,
    timeout="delete_timeout_seconds",
    revocable=False,
    queues=True,
    told_failed="{reason} Still to do: {left}; delete the instance again.",
)
