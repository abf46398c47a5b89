"""What is done to many instances, each by an operation of its own."""

from __future__ import annotations

from typing import Final

from chalicelib.domain.flows.form import Flow, Runs, Step
from chalicelib.domain.operations import OperationAction, SubjectKind
from chalicelib.status import RolloutStatus

ROLL_OUT: Final = Flow(
    action=OperationAction.ROLL_OUT,
    subject=SubjectKind.ROLLOUT,
    title="rollout",
    comment="Rebuilds instances on an image, or upgrades their agents, so many at a time, each by "
    "an operation of its own that is counted when it has ended. What stops it begins no more and "
    "waits for those that run.",
    steps=(Step("rebuild", Runs.LOCAL),),
    undo=(Step("wait", Runs.LOCAL, timeout="drain_timeout_seconds"),),
    during=RolloutStatus.RUNNING,
    done=RolloutStatus.COMPLETED,
    undone=RolloutStatus.STOPPED,
    failed=RolloutStatus.FAILED,
    timeout="rollout_timeout_seconds",
    told_undone="The rollout was stopped: {reason} Ask again to go on: what is done already is "
    "left alone.",
    told_failed="The rollout was stopped, and operations of it may still run: {reason} Each ends "
    "by itself; see the operations of its instance.",
)
