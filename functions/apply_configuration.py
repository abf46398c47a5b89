"""The flow `apply_configuration`: the instances of a group are told of its values, some at a time.

    count what has ended ─▶ name the next ones ─▶ begin them ─▶ look again
        ├ the values have changed meanwhile ─▶ wait for what runs, and begin anew
        └ all were told ─▶ confirm the revision ─▶ done, or failed with those that did not take it

Each is told by an operation of its own (`chalicelib.store.children`), which sends what the group
holds when it runs. One that is at something else is waited for; one that is off, broken or not
heard is passed over, and told when it starts again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.bus import queues
from chalicelib.domain.configurations import AT_ONCE, Application, held
from chalicelib.domain.flows import CONFIGURE
from chalicelib.domain.operations import TERMINAL, OperationStatus
from chalicelib.store import accepting, attachments, children, configurations, instances, operations
from chalicelib.store.base import ConditionFailed, as_dict
from chalicelib.store.models import Configuration, Operation
from functions import configuring
from functions.outcomes import Busy, Done, Failed, Outcome, Wait, not_yet

SOON_SECONDS: Final = 1
"""The next look, when the last one was full of instances of which nothing is to be asked."""
GONE: Final = "The configuration group is not there any more."


def apply(operation: Operation, _: str | None) -> Outcome:
    """Count what has ended, and begin as many more as may be under way."""
    group = configurations.find_configuration(operation.subject_id)
    if group is None:
        return Failed(GONE)
    progress, begun = _counted(operation)
    if progress.revision != group.revision:
        if begun:
            left = msgspec.structs.replace(progress, under_way=tuple(sorted(begun)))
            return not_yet(operation, left.told(), left.recorded())
        progress = Application(revision=int(group.revision))
    if not progress.walked and len(progress.under_way) < AT_ONCE:
        progress = _walk(group, progress)
        _record(operation, progress)
    for instance_id in progress.under_way:
        if instance_id not in begun:
            progress = _begin(operation, group, instance_id, progress)
    if progress.under_way:
        return not_yet(operation, progress.told(), progress.recorded())
    if not progress.walked:
        return Wait(SOON_SECONDS, progress.recorded(), progress.told())
    return _confirmed(operation, group, progress)


def _confirmed(operation: Operation, group: Configuration, progress: Application) -> Outcome:
    """No change after this one is left to this operation."""
    if not configurations.confirm(group, operation, progress.revision):
        return Wait(SOON_SECONDS, progress.recorded(), progress.told())
    if progress.failed:
        _record(operation, progress)
        return Failed(_who_failed(progress))
    return Done(progress.recorded())


def wait(operation: Operation, _: str | None) -> Outcome:
    """Begin nothing more, and see the end of what runs."""
    progress, begun = _counted(operation)
    progress = msgspec.structs.replace(progress, under_way=tuple(sorted(begun)))
    if begun:
        return not_yet(operation, progress.told(), progress.recorded())
    return Done(progress.recorded())


def _counted(operation: Operation) -> tuple[Application, set[str]]:
    """How far it has come, and the instances whose operations have begun and not ended."""
    progress = Application.of(as_dict(operation.resources))
    if not progress.under_way:
        return progress, set()
    found = children.find(operation.id, progress.under_way, progress.revision)
    for instance_id, child in found.items():
        if child.status in TERMINAL:
            progress = progress.without(instance_id, child.status)
    return progress, set(found) & set(progress.under_way)


def _walk(group: Configuration, progress: Application) -> Application:
    """Name as many more as there is room for; a look reads one page."""
    room = AT_ONCE - len(progress.under_way)
    rows, marker = attachments.page(group.id, room, progress.behind or None)
    return msgspec.structs.replace(
        progress,
        behind=marker or progress.behind,
        walked=marker is None,
        under_way=(*progress.under_way, *(row.id for row in rows)),
    )


def _begin(
    operation: Operation, group: Configuration, instance_id: str, progress: Application
) -> Application:
    """Begin what is to be done to an instance; one that is at something else is waited for."""
    row = instances.find_instance(instance_id)
    if row is None or not attachments.has(row, group.id):
        return progress.without(instance_id, has_it=True)
    if row.operation_id is not None:
        return progress
    if row.configuration_held == held(group.id, progress.revision):
        return progress.without(instance_id, OperationStatus.SUCCEEDED)
    if row.status not in CONFIGURE.sources or not configuring.can_be_told(row):
        return progress.without(instance_id)
    child = children.child_of(
        operation, row, CONFIGURE, {"configuration": group.id}, progress.revision
    )
    decided_by = ("generation", "configuration_id")
    if accepting.accept(row, child, decided_by=decided_by, parent=operation):
        queues.notify_task_manager(child.id)
    return progress


def _record(operation: Operation, progress: Application) -> None:
    try:
        operations.record(operation, progress.recorded())
    except ConditionFailed:
        raise Busy(f"apply of {operation.id} overran its lease") from None


def _who_failed(progress: Application) -> str:
    named = ", ".join(progress.failures)
    more = ", and others" if progress.failed > len(progress.failures) else ""
    return f"that of {named}{more} failed. The fault of each instance says why."


STEPS: Final = {"apply": apply, "wait": wait}
