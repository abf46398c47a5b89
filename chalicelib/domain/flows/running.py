"""What changes an instance whose server stays as it is."""

from __future__ import annotations

from typing import Final

from chalicelib.domain.flows.form import START_IT, Flow, Runs, Step, Waits
from chalicelib.domain.operations import OperationAction
from chalicelib.status import Status

UPDATE_ACCESS: Final = Flow(
    action=OperationAction.UPDATE_ACCESS,
    title="access update",
    comment="Changes who may reach an instance. What cannot be done is taken back; the instance "
    "stays ACTIVE either way.",
    steps=(Step("apply"),),
    undo=(Step("restore", timeout="delete_timeout_seconds"),),
    sources=frozenset({Status.ACTIVE}),
    during=Status.ACTIVE,
    done=Status.ACTIVE,
    failed=Status.ACTIVE,
    timeout="update_timeout_seconds",
    told_undone="The change of the access was given up: {reason}",
    told_failed="The access may be changed in part: {reason} Ask for the access again.",
)

RESTART: Final = Flow(
    action=OperationAction.RESTART,
    title="restart",
    comment="Stops the database and starts it again, with what it lacks of its configuration. One "
    "that does not come back is told by the guest's reports.",
    steps=(
        Step("configure", Runs.LOCAL),
        Step(
            "restart",
            Runs.LOCAL,
            Waits.GUEST,
            asks="restart",
            late="The database was not started again in time",
            failed="The database was not restarted",
        ),
    ),
    sources=frozenset({Status.ACTIVE}),
    during=Status.REBOOT,
    done=Status.ACTIVE,
    failed=Status.ACTIVE,
    timeout="restart_timeout_seconds",
)

UPGRADE_AGENT: Final = Flow(
    action=OperationAction.UPGRADE_AGENT,
    title="agent upgrade",
    comment="Has the guest go on as another release of its agent, below a database that goes on. "
    "The release of before runs again where the new one does not prove itself.",
    steps=(
        Step(
            "install",
            Runs.LOCAL,
            Waits.GUEST,
            asks="upgrade_agent",
            late="The guest agent was not heard again in time",
            failed="The guest agent was not upgraded",
        ),
    ),
    sources=frozenset({Status.ACTIVE}),
    during=Status.ACTIVE,
    done=Status.ACTIVE,
    failed=Status.ACTIVE,
    timeout="restart_timeout_seconds",
    operators=True,
)

RESIZE_VOLUME: Final = Flow(
    action=OperationAction.RESIZE_VOLUME,
    title="volume resize",
    comment="Grows the volume below a database that goes on, or beside its server that is off, "
    "where the cloud grows none that is in use. A volume never gets smaller again, so that a "
    "failure only brings the database back and measures what has become of the volume.",
    steps=(
        Step("extend"),
        Step("answers", Runs.LOCAL),
        Step(
            "grow",
            Runs.LOCAL,
            Waits.GUEST,
            asks="resize_fs",
            late="The file system did not grow in time",
            failed="The file system did not grow, and a stop and a start try it again",
        ),
    ),
    undo=(Step("measure", timeout="resize_timeout_seconds"),),
    sources=frozenset({Status.ACTIVE}),
    during=Status.RESIZE,
    done=Status.ACTIVE,
    timeout="resize_timeout_seconds",
    told_undone="The resize of the volume was given up: {reason} Ask for the resize again.",
    told_failed="The server may be off, or without its volume: {reason} " + START_IT,
)
