"""Servers that are switched off and on."""

from __future__ import annotations

from typing import Final

from chalicelib.domain.flows.form import START_IT, Flow, Runs, Step, Waits
from chalicelib.domain.operations import OperationAction
from chalicelib.status import Status


def _power(name: str) -> Step:
    return Step(name, timeout="power_timeout_seconds")


STOP: Final = Flow(
    action=OperationAction.STOP,
    title="stop",
    comment="Ends the database and switches the server off. What fails is switched off and on: the "
    "database comes back with its server.",
    steps=(
        Step(
            "stop_database",
            Runs.LOCAL,
            Waits.GUEST,
            asks="stop_db",
            late="The database did not stop in time",
            failed="The database was not stopped",
        ),
        _power("power_off"),
    ),
    undo=(
        _power("cut_power"),
        _power("come_back"),
        Step("answers_again", Runs.LOCAL, timeout="power_timeout_seconds"),
    ),
    sources=frozenset({Status.ACTIVE}),
    during=Status.STOPPING,
    done=Status.STOPPED,
    timeout="power_timeout_seconds",
    told_undone="The instance was not stopped: {reason}",
    told_failed="The instance may be stopped in part: {reason} " + START_IT,
)

START: Final = Flow(
    action=OperationAction.START,
    title="start",
    comment="Switches the server on and sees the database answer. A server that does not come on, "
    "or whose agent says nothing, is stopped again. It is the way out of an error, too.",
    steps=(Step("power_on"), Step("answers", Runs.LOCAL)),
    undo=(_power("cut_power"),),
    sources=frozenset({Status.STOPPED, Status.ERROR}),
    during=Status.STARTING,
    done=Status.ACTIVE,
    undone=Status.STOPPED,
    timeout="power_timeout_seconds",
    told_undone="The instance was not started: {reason}",
    told_failed="The server may run or not: {reason} " + START_IT,
)

REBOOT: Final = Flow(
    action=OperationAction.REBOOT,
    title="reboot",
    comment="Switches the server off and on, whatever its guest is at, and sees the database "
    "answer.",
    steps=(Step("power_off"), Step("power_on"), Step("answers", Runs.LOCAL)),
    undo=(_power("come_back"),),
    sources=frozenset({Status.ACTIVE}),
    during=Status.REBOOT,
    done=Status.ACTIVE,
    timeout="power_timeout_seconds",
    operators=True,
    told_undone="The reboot did not finish: {reason}",
    told_failed="The server may be switched off: {reason} " + START_IT,
)
