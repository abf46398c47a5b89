"""The flow `roll_out`: instances are rebuilt on an image, or their agents upgraded in place, so
many at a time.

    count what has ended ─▶ name the next ones ─▶ begin them ─▶ look again
        └ more failed than may be, cancelled, late ─▶ wait for what runs

Each of these is an operation of its own on its instance (`chalicelib.store.children`). What a look
begins it has named in the rollout's record before, so that whoever comes after one that died knows
all that can run: never more than `at_once` do, and each is counted once.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib import aws
from chalicelib.bus import contract, queues
from chalicelib.domain.agents import AgentBundle
from chalicelib.domain.flows import UPGRADE_AGENT
from chalicelib.domain.operations import TERMINAL
from chalicelib.domain.rollouts import Progress, Wanted
from chalicelib.settings import settings
from chalicelib.store import accepting, children, instances, operations, rollouts
from chalicelib.store.base import ConditionFailed, as_dict
from chalicelib.store.generations import MOST_GENERATIONS
from chalicelib.store.models import Instance, Operation
from functions.outcomes import Busy, Done, Failed, Outcome, Wait, not_yet

SOON_SECONDS: Final = 1
"""The next look, when the last one was full of instances that are not to be rebuilt."""


def rebuild(operation: Operation, _: str | None) -> Outcome:
    """Count what has ended, and begin as many more as may be under way."""
    wanted = msgspec.convert(operation.arguments, Wanted)
    progress, begun = _counted(operation)
    if progress.failed > wanted.tolerate:
        return Failed(_too_many(progress, wanted))
    if not progress.walked and len(progress.under_way) < wanted.at_once:
        progress = rollouts.walk(wanted, progress)
        _record(operation, progress)
    for instance_id in progress.under_way:
        if instance_id not in begun and not _begin(operation, wanted, instance_id):
            progress = progress.without(instance_id, has_it=_has_it(wanted, instance_id))
    if progress.walked and not progress.under_way:
        return Done(progress.recorded())
    if not progress.walked and len(progress.under_way) < wanted.at_once:
        return Wait(SOON_SECONDS, progress.recorded(), progress.told())
    return not_yet(operation, progress.told(), progress.recorded())


def wait(operation: Operation, _: str | None) -> Outcome:
    """Begin nothing more, and see the end of what runs."""
    progress, begun = _counted(operation)
    left = tuple(each for each in progress.under_way if each in begun)
    progress = msgspec.structs.replace(progress, under_way=left)
    if left:
        return not_yet(operation, progress.told(), progress.recorded())
    return Done(progress.recorded())


def _counted(operation: Operation) -> tuple[Progress, set[str]]:
    """How far it has come, and the instances whose rebuilds have begun and not ended."""
    progress = Progress.of(as_dict(operation.resources))
    found = children.find(operation.id, progress.under_way) if progress.under_way else {}
    for instance_id, child in found.items():
        if child.status in TERMINAL:
            progress = progress.without(instance_id, child.status)
    return progress, set(found) & set(progress.under_way)


def _record(operation: Operation, progress: Progress) -> None:
    try:
        operations.record(operation, progress.recorded())
    except ConditionFailed:
        raise Busy(f"rebuild of {operation.id} overran its lease") from None


def _begin(operation: Operation, wanted: Wanted, instance_id: str) -> bool:
    """Begin what is to be done to an instance; False when nothing is, any more.

    One whose row changes meanwhile is tried again in the next look.
    """
    row = instances.find_instance(instance_id)
    if row is None or not rollouts.fits(row, wanted):
        return False
    if wanted.agent is not None:
        if not _takes(row, wanted.agent):
            return False
        child = children.child_of(
            operation, row, UPGRADE_AGENT, msgspec.structs.asdict(wanted.agent)
        )
    else:
        if not _is_able(row):
            return False
        arguments = {"image_id": wanted.image_id, "was": row.status}
        child = children.child_of(operation, row, rollouts.REBUILDS[row.status], arguments)
    if accepting.accept(row, child, decided_by=("generation",), parent=operation):
        queues.notify_task_manager(child.id)
    return True


def _takes(row: Instance, agent: AgentBundle) -> bool:
    """Whether the agent of an instance is heard, knows how to be upgraded, and is another one."""
    reported = instances.service_status(row.id)
    if reported is None or reported.agent_release < contract.UPGRADE_AGENT.since:
        return False
    heard = aws.clock() - reported.updated < settings().heartbeat_expiry_seconds
    return heard and reported.agent_version != agent.version


def _has_it(wanted: Wanted, instance_id: str) -> bool:
    """Whether the agent of an instance is the one that is rolled out."""
    if wanted.agent is None:
        return False
    reported = instances.service_status(instance_id)
    return reported is not None and reported.agent_version == wanted.agent.version


def _is_able(row: Instance) -> bool:
    """What has no server and volume, or has had all the guests it may have, is not rebuilt."""
    owned = {"server_id", "volume_id"} <= set(row.resources)
    return owned and int(row.generation) < MOST_GENERATIONS


def _too_many(progress: Progress, wanted: Wanted) -> str:
    named = ", ".join(progress.failures)
    more = ", and others" if progress.failed > len(progress.failures) else ""
    return (
        f"{progress.failed} failed, and {wanted.tolerate} may: that of {named}{more}. The "
        "fault of each instance says why."
    )


STEPS: Final = {"rebuild": rebuild, "wait": wait}
