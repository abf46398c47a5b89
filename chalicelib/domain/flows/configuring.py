"""How the values of a configuration group come to its instances: to one, and to all of them."""

from __future__ import annotations

from typing import Final

from chalicelib.domain.flows.form import Flow, Runs, Step, Waits
from chalicelib.domain.operations import OperationAction, SubjectKind
from chalicelib.status import ConfigurationStatus, Status

CONFIGURE: Final = Flow(
    action=OperationAction.CONFIGURE,
    title="configuration",
    comment="Has the guest hold the values of its configuration group as they are then, or none. "
    "What its engine takes only at its start waits for a restart.",
    steps=(
        Step(
            "configure",
            Runs.LOCAL,
            Waits.GUEST,
            asks="update_overrides",
            late="The guest agent did not take the configuration in time",
            failed="The configuration was not applied",
        ),
        Step("told", Runs.LOCAL, Waits.NO),
    ),
    sources=frozenset({Status.ACTIVE}),
    during=Status.ACTIVE,
    done=Status.ACTIVE,
    failed=Status.ACTIVE,
    timeout="restart_timeout_seconds",
    told_failed="{reason} The next restart tries it again.",
)

APPLY: Final = Flow(
    action=OperationAction.APPLY,
    subject=SubjectKind.CONFIGURATION,
    title="configuration change",
    comment="Has each instance of a configuration group hold its values, some at a time, each by "
    "an operation of its own that is counted when it has ended. One that fails stops none.",
    steps=(Step("apply", Runs.LOCAL),),
    undo=(Step("wait", Runs.LOCAL, timeout="drain_timeout_seconds"),),
    sources=frozenset({ConfigurationStatus.ACTIVE}),
    during=ConfigurationStatus.APPLYING,
    done=ConfigurationStatus.ACTIVE,
    undone=ConfigurationStatus.ACTIVE,
    failed=ConfigurationStatus.ACTIVE,
    timeout="rollout_timeout_seconds",
    told_undone="The values did not come to each instance: {reason}",
    told_failed="The values did not come to each instance, and operations may still run: {reason}",
)
