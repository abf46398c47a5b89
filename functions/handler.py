"""The Lambda handlers of the task manager: `cloud` may call OpenStack, `local` may not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from chalicelib import logs
from chalicelib.domain.flows import COMPLETE, FAIL, FLOWS, KINDS, LOOK, Runs
from chalicelib.domain.operations import OperationAction
from chalicelib.settings import settings
from chalicelib.store.models import Operation
from functions import (
    apply_configuration,
    configure_instance,
    create_backup,
    create_instance,
    create_snapshot,
    delete_backup,
    ending,
    maintenance,
    migrate_instance,
    power,
    rebuild_instance,
    remove,
    resize_flavor,
    resize_volume,
    restart_instance,
    restore_instance,
    restore_snapshot,
    roll_out,
    server_look,
    step,
    update_access,
    upgrade_agent,
    upgrade_instance,
    verify_backup,
)
from functions.outcomes import Outcome
from functions.step import Step

logs.set_up(settings().log_level, settings().prefix)

Run = Callable[[Operation, str | None], Outcome]

_STEPS: Final[Mapping[OperationAction, Mapping[str, Run]]] = {
    OperationAction.CREATE: create_instance.STEPS,
    OperationAction.DELETE: {},
    OperationAction.UPDATE_ACCESS: update_access.STEPS,
    OperationAction.RESTART: restart_instance.STEPS,
    OperationAction.RESIZE_VOLUME: resize_volume.STEPS,
    OperationAction.RESIZE_FLAVOR: resize_flavor.STEPS,
    OperationAction.STOP: power.STEPS,
    OperationAction.START: power.STEPS,
    OperationAction.REBOOT: power.STEPS,
    OperationAction.REBUILD: rebuild_instance.STEPS,
    OperationAction.REBUILD_STOPPED: rebuild_instance.STEPS_OF_STOPPED,
    OperationAction.ROLL_OUT: roll_out.STEPS,
    OperationAction.MIGRATE: migrate_instance.STEPS,
    OperationAction.UPGRADE: upgrade_instance.STEPS,
    OperationAction.UPGRADE_AGENT: upgrade_agent.STEPS,
    OperationAction.CONFIGURE: configure_instance.STEPS,
    OperationAction.APPLY: apply_configuration.STEPS,
    OperationAction.CREATE_BACKUP: create_backup.STEPS,
    OperationAction.DELETE_BACKUP: delete_backup.STEPS,
    OperationAction.RESTORE: restore_instance.STEPS,
    OperationAction.VERIFY_BACKUP: verify_backup.STEPS,
    OperationAction.CREATE_SNAPSHOT: create_snapshot.STEPS,
    OperationAction.RESTORE_SNAPSHOT: restore_snapshot.STEPS,
}
"""The steps of each flow by name, but for those that flows share."""

_SHARED: Final[Mapping[str, Run]] = {
    **remove.STEPS,
    COMPLETE.name: ending.complete,
    FAIL.name: ending.fail,
}


def _declared() -> Iterator[tuple[str, Step]]:
    """Every step that a flow declares, by its name in a payload."""
    for flow in FLOWS.values():
        steps = {**_STEPS[flow.action], **_SHARED}
        for each in (*flow.steps, COMPLETE, *flow.undo, FAIL):
            path = flow.path(each)
            kind = KINDS[path]
            yield path, Step(steps[each.name], backwards=kind.backwards, ends=kind.ends)


STEPS: Final[Mapping[str, Step]] = dict(_declared())
CLOUD_STEPS: Final = {name: each for name, each in STEPS.items() if KINDS[name].runs is Runs.CLOUD}
LOCAL_STEPS: Final = {name: each for name, each in STEPS.items() if KINDS[name].runs is Runs.LOCAL}


def cloud(event: dict[str, Any], _: object) -> dict[str, Any]:
    """A step that calls OpenStack, a look at a server, or a job of the maintenance."""
    if event.get("step") in maintenance.JOBS:
        return maintenance.run(maintenance.JOBS, event)
    if event.get("step") == LOOK:
        return server_look.run(event)
    return step.run(CLOUD_STEPS, event)


def local(event: dict[str, Any], _: object) -> dict[str, Any]:
    """A step that calls AWS only, or a job of the maintenance."""
    if event.get("step") in maintenance.LOCAL_JOBS:
        return maintenance.run(maintenance.LOCAL_JOBS, event)
    return step.run(LOCAL_STEPS, event)
