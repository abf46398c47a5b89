"""The flows as data: which steps an operation takes, which take them back, what bounds each.

One declaration per operation's action. The state machines are rendered from it
(`infra/package/state_machines.py`), the frame of the steps and the handlers read what kind each
step is (`functions/step.py`, `functions/handler.py`), and the sweeper what a failure means.

    steps in their order ─────────────────────────▶ complete ─▶ Completed
       │ failed, cancelled, late, or out of retries
       ▼
    undo in its order ────────────────────────────▶ fail ─────▶ Failed

`docs/adding-a-flow.md` says what one more takes. A name that was deployed lives one release longer,
in `functions.handler` at least: executions in flight keep their definition
(`tests/functions/last_release`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chalicelib.domain.flows.backups import (
    CREATE_BACKUP,
    CREATE_SNAPSHOT,
    DELETE_BACKUP,
    RESTORE,
    RESTORE_SNAPSHOT,
    VERIFY_BACKUP,
)
from chalicelib.domain.flows.configuring import APPLY, CONFIGURE
from chalicelib.domain.flows.form import COMPLETE, FAIL, Flow, Kind, Runs, Step, Waits, What
from chalicelib.domain.flows.lifetime import CREATE, DELETE, PREPARE, REMOVALS
from chalicelib.domain.flows.many import ROLL_OUT
from chalicelib.domain.flows.moving import MIGRATE, RESIZE_FLAVOR
from chalicelib.domain.flows.power import REBOOT, START, STOP
from chalicelib.domain.flows.replacing import REBUILD, REBUILD_STOPPED, UPGRADE
from chalicelib.domain.flows.running import RESIZE_VOLUME, RESTART, UPDATE_ACCESS, UPGRADE_AGENT
from chalicelib.domain.operations import SubjectKind

__all__ = [
    "ADMITTING",
    "APPLY",
    "COMPLETE",
    "CONFIGURE",
    "CREATE",
    "CREATE_BACKUP",
    "CREATE_SNAPSHOT",
    "DELETE",
    "DELETE_BACKUP",
    "ENROLLING",
    "FAIL",
    "FLOWS",
    "FLOWS_OF",
    "KINDS",
    "LOOK",
    "MIGRATE",
    "PREPARE",
    "REBOOT",
    "REBUILD",
    "REBUILD_STOPPED",
    "REMOVALS",
    "REMOVING",
    "RESIZE_FLAVOR",
    "RESIZE_VOLUME",
    "RESTART",
    "RESTORE",
    "RESTORE_SNAPSHOT",
    "ROLL_OUT",
    "START",
    "STOP",
    "UPDATE_ACCESS",
    "UPGRADE",
    "UPGRADE_AGENT",
    "VERIFY_BACKUP",
    "Flow",
    "Kind",
    "Runs",
    "Step",
    "Waits",
    "What",
]

LOOK: Final = "look_at_server"
"""Not a step: the sweeper has it done for an operation that waits long for its guest."""

FLOWS: Final[dict[str, Flow]] = {
    flow.action: flow
    for flow in (
        *(CREATE, DELETE, UPDATE_ACCESS, RESTART, RESIZE_VOLUME),
        *(STOP, START, REBOOT, RESIZE_FLAVOR, REBUILD, REBUILD_STOPPED, MIGRATE, UPGRADE),
        *(UPGRADE_AGENT, ROLL_OUT, CONFIGURE, APPLY),
        *(CREATE_BACKUP, DELETE_BACKUP, RESTORE, VERIFY_BACKUP),
        *(CREATE_SNAPSHOT, RESTORE_SNAPSHOT),
    )
}


def _by_kind() -> dict[SubjectKind, list[Flow]]:
    found: dict[SubjectKind, list[Flow]] = {kind: [] for kind in SubjectKind}
    for flow in FLOWS.values():
        found[flow.subject].append(flow)
    return found


FLOWS_OF: Final = _by_kind()
"""The flows by the kind of their subject."""
REMOVING: Final = {flow.subject: flow for flow in FLOWS.values() if flow.queues}
"""The flow that takes a subject of a kind away, where there is one."""
ADMITTING: Final = tuple(flow.action for flow in FLOWS.values() if flow.admits)
"""The operations in which a guest enrols."""
ENROLLING: Final = frozenset(flow.during for flow in FLOWS.values() if flow.admits)
"""The statuses in which it does."""


def _kinds(flow: Flow) -> Iterator[tuple[str, Kind]]:
    for step in flow.steps:
        yield flow.path(step), Kind(step.runs, backwards=not flow.revocable, ends=False)
    for step in flow.undo:
        yield flow.path(step), Kind(step.runs, backwards=True, ends=False)
    yield flow.path(COMPLETE), Kind(COMPLETE.runs, backwards=not flow.revocable, ends=True)
    yield flow.path(FAIL), Kind(FAIL.runs, backwards=True, ends=True)


KINDS: Final[dict[str, Kind]] = dict(each for flow in FLOWS.values() for each in _kinds(flow))
"""Every step of every flow by its name in a payload."""
