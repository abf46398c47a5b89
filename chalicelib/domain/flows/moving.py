"""What Nova does in two steps, and confirms: another flavor, another host."""

from __future__ import annotations

from typing import Final

from chalicelib.domain.flows.form import Flow, Runs, Step, Waits
from chalicelib.domain.operations import OperationAction
from chalicelib.status import Status


def _settings(name: str) -> Step:
    return Step(
        name,
        Runs.LOCAL,
        Waits.GUEST,
        asks="start_db_with_conf_changes",
        timeout="power_timeout_seconds",
        late="The database did not run with its settings in time",
        failed="The database did not run with its settings",
    )


_STOP_FOR_A_MOVE: Final = Step(
    "stop_database",
    Runs.LOCAL,
    Waits.GUEST,
    asks="stop_db",
    timeout="power_timeout_seconds",
    late="The database did not stop in time",
    failed="The database was not stopped",
)
_AFTER_A_MOVE: Final = (Step("answers", Runs.LOCAL), _settings("settings"), Step("confirm"))
_BACK_FROM_A_MOVE: Final = (
    Step("revert", timeout="power_timeout_seconds"),
    Step("come_back", timeout="power_timeout_seconds"),
    _settings("settings_of_before"),
)

RESIZE_FLAVOR: Final = Flow(
    action=OperationAction.RESIZE_FLAVOR,
    title="flavor resize",
    comment="Ends the database, lets Nova give its server another flavor, and lets it go on with "
    "the settings for that. Confirmed last: until then all of it is taken back.",
    steps=(
        _STOP_FOR_A_MOVE,
        Step("resize"),
        *_AFTER_A_MOVE,
    ),
    undo=_BACK_FROM_A_MOVE,
    sources=frozenset({Status.ACTIVE}),
    during=Status.RESIZE,
    done=Status.ACTIVE,
    timeout="resize_timeout_seconds",
    told_undone="The resize to another flavor was given up: {reason}",
    told_failed="The resize to another flavor may be done in part: {reason} Not undone: {left}. "
    "Start the instance and ask for the resize again.",
)

MIGRATE: Final = Flow(
    action=OperationAction.MIGRATE,
    title="migration",
    comment="Ends the database, lets Nova move its server to another host, and sees the database "
    "run there. Confirmed last: until then it is taken back.",
    steps=(Step("look"), _STOP_FOR_A_MOVE, Step("migrate"), *_AFTER_A_MOVE),
    undo=_BACK_FROM_A_MOVE,
    sources=frozenset({Status.ACTIVE}),
    during=Status.RESIZE,
    done=Status.ACTIVE,
    timeout="resize_timeout_seconds",
    operators=True,
    told_undone="The instance was not migrated: {reason}",
    told_failed="The instance may be migrated in part: {reason} Not undone: {left}. Start the "
    "instance.",
)
