"""What gives an instance another guest, on another root disk, with its data."""

from __future__ import annotations

from typing import Final

from chalicelib.domain.flows.form import Flow, Runs, Step, Waits
from chalicelib.domain.operations import OperationAction
from chalicelib.service_status import ServiceStatus
from chalicelib.status import Status

_REPLACEMENT: Final = (
    Step("new_generation", Runs.LOCAL, Waits.NO),
    Step("server"),
    Step(
        "prepare",
        Runs.LOCAL,
        Waits.GUEST,
        asks="rebuild",
        admits=True,
        late="The new guest agent did not bring the database up in time",
        failed="The new guest agent failed to bring the database up",
    ),
)
_REBUILD_FAILED: Final = (
    "The rebuild failed: {reason} The data is on the volume as it was; rebuild the instance again, "
    "on an image that works."
)

REBUILD: Final = Flow(
    action=OperationAction.REBUILD,
    title="rebuild",
    comment="Gives the server a new root disk and the instance a new guest, which goes on with the "
    "data. Once the old guest is replaced there is no way back: the next rebuild is the way on.",
    steps=(
        Step("check"),
        Step("stop_database", Runs.LOCAL, asks="stop_db"),
        *_REPLACEMENT,
    ),
    undo=(Step("start_database", Runs.LOCAL, asks="restart", timeout="restart_timeout_seconds"),),
    sources=frozenset({Status.ACTIVE, Status.ERROR}),
    during=Status.REBUILD,
    done=Status.ACTIVE,
    timeout="rebuild_timeout_seconds",
    operators=True,
    no_return="new_generation",
    told_undone="The instance was not rebuilt: {reason}",
    told_failed=_REBUILD_FAILED,
    reported=ServiceStatus.HEALTHY,
)

REBUILD_STOPPED: Final = Flow(
    action=OperationAction.REBUILD_STOPPED,
    title="rebuild while stopped",
    comment="The same of an instance that is stopped, and is so again afterwards: its server is on "
    "for its new guest to come up. Once the data has been taken over, what fails is switched off.",
    steps=(
        Step("check"),
        *_REPLACEMENT,
        Step(
            "stop_database",
            Runs.LOCAL,
            Waits.GUEST,
            asks="stop_db",
            admits=True,
            timeout="power_timeout_seconds",
            late="The database did not stop in time",
            failed="The database was not stopped",
        ),
        Step("power_off"),
    ),
    undo=(Step("cut_power", timeout="power_timeout_seconds"),),
    sources=frozenset({Status.STOPPED}),
    during=Status.REBUILD,
    done=Status.STOPPED,
    undone=Status.STOPPED,
    timeout="rebuild_timeout_seconds",
    operators=True,
    no_return="new_generation",
    told_undone="The instance is stopped: {reason}",
    told_failed=_REBUILD_FAILED,
)

UPGRADE: Final = Flow(
    action=OperationAction.UPGRADE,
    title="upgrade",
    comment="Gives the server the image of another version of the datastore, and with it a new "
    "guest, whose engine goes on with the data. What fails is undone by one more guest, on the "
    "image of before.",
    steps=(
        Step("check"),
        Step("stop_database", Runs.LOCAL, asks="stop_db"),
        Step("new_generation", Runs.LOCAL, Waits.NO),
        Step("server"),
        Step(
            "prepare",
            Runs.LOCAL,
            Waits.GUEST,
            asks="upgrade",
            admits=True,
            late="The new version did not bring the database up in time",
            failed="The new version failed to bring the database up",
        ),
    ),
    undo=(
        Step("stop_again", Runs.LOCAL, asks="stop_db", timeout="power_timeout_seconds"),
        Step("generation_back", Runs.LOCAL, Waits.NO, timeout="power_timeout_seconds"),
        Step("server_back", timeout="power_timeout_seconds"),
        Step(
            "prepare_back",
            Runs.LOCAL,
            Waits.GUEST,
            timeout="rebuild_timeout_seconds",
            asks="rebuild",
            admits=True,
            late="The version of before did not bring the database up in time",
            failed="The version of before failed to bring the database up",
        ),
        Step("start_database", Runs.LOCAL, asks="restart", timeout="restart_timeout_seconds"),
    ),
    sources=frozenset({Status.ACTIVE}),
    during=Status.UPGRADE,
    done=Status.ACTIVE,
    timeout="rebuild_timeout_seconds",
    replaces="new_generation",
    disowns="generation_back",
    told_undone="The instance has its former version: {reason}",
    told_failed="The upgrade failed: {reason} Not undone: {left}. The data is on the volume; "
    "rebuild the instance on an image of its version.",
    reported=ServiceStatus.HEALTHY,
)
