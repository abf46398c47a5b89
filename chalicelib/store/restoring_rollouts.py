"""Rollouts of a restored table: a row that says RUNNING learns how its operation has ended.

What a rollout did stands on the instances; its own row is what an operator reads of it.
"""

from __future__ import annotations

from typing import Final

from pynamodb.expressions.update import Action

from chalicelib import aws
from chalicelib.domain.flows import FLOWS, ROLL_OUT, What
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import next_status
from chalicelib.status import RolloutStatus
from chalicelib.store.base import as_dict, update_if
from chalicelib.store.kinds import KINDS
from chalicelib.store.models import Operation, Rollout
from chalicelib.store.operations import operations_of
from chalicelib.store.outcomes import outcome
from chalicelib.store.subjects import faulty, unchanged

LOST: Final = "How it has ended is not known any more: the tables were restored."


def wrong(rollout: Rollout) -> tuple[str, list[Action]] | None:
    """What a row does not know of its operation, and the actions that put it right; or None."""
    if rollout.status != RolloutStatus.RUNNING:
        return None
    operation = next(iter(operations_of(rollout.id, 1)), None)
    if operation is None:
        return "its operation is lost", _ended(RolloutStatus.FAILED, LOST)
    if operation.live is not None:
        return None
    return f"{operation.action} has {operation.status}", _as(operation)


def mend(rollout: Rollout, actions: list[Action]) -> None:
    """Put a row right. Clauses: it is as it was read."""
    update_if(rollout, actions, unchanged(rollout))


def _as(operation: Operation) -> list[Action]:
    flow = FLOWS[operation.action]
    succeeded = operation.status == OperationStatus.SUCCEEDED
    what = What.SUCCEEDED if succeeded else flow.ended(as_dict(operation.ended))
    status = next_status(flow.during, flow.event(what), flow.subject)
    reason = None if succeeded else operation.reason or flow.told_undone
    return outcome(operation, what).actions(Rollout) + _ended(status, reason)


def _ended(status: str, reason: str | None) -> list[Action]:
    actions: list[Action] = [
        Rollout.status.set(status),
        Rollout.updated.set(aws.clock()),
        Rollout.operation_id.remove(),
        *KINDS[ROLL_OUT.subject].settled(RolloutStatus(status)),
    ]
    return actions + (faulty(reason) if reason else [])
