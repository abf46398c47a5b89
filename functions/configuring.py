"""The values of an instance's configuration group on their way to its guest, in whichever flow.

What the guest is to hold is written down before it is told: a second run of the step may send newer
values under the same command, and what is recorded then is never more than what the guest has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from chalicelib import aws, engines, lifecycle
from chalicelib.bus import commands, contract
from chalicelib.bus.contract.answers import Overridden
from chalicelib.bus.contract.arguments import UpdateOverrides
from chalicelib.domain.flows.form import Step
from chalicelib.domain.operations import command_id
from chalicelib.lifecycle import ServiceStatus
from chalicelib.settings import settings
from chalicelib.store import commands as rows
from chalicelib.store import configurations, instances, operations
from chalicelib.store.base import ConditionFailed, as_dict
from chalicelib.store.models import Instance, Operation
from functions.asking import ask_by_polls
from functions.outcomes import Busy, Done, Outcome, not_yet

BRING_SECONDS: Final = 120.0
"""So long a guest has that is told in passing: what it was started for goes on without."""
COMMAND: Final = "bring"
BEGINNING: Final = frozenset({"prepare", "rebuild", "upgrade"})
"""The methods that give a guest its database, with the values that it is to begin with."""
KNOWS_NO_GROUPS: Final = (
    "The configuration was not applied: the guest agent on this image is of a release that knows "
    "no configuration groups. An operator upgrades it (coffer upgrade-agents) or rebuilds the "
    "instance on a newer image."
)


def wanted(operation: Operation, instance: Instance) -> UpdateOverrides:
    """What the guest of an instance is to hold now; that it is `sent` is on record first."""
    group = configurations.wanted_by(instance)
    if "sent" not in as_dict(operation.resources):
        _record(operation, {"sent": configurations.told_by(group) or ""})
    if group is None:
        return UpdateOverrides()
    return UpdateOverrides(values=dict(group.wanted), group=group.id)


def values_for(operation: Operation, instance: Instance) -> dict[str, Any]:
    """The values with which a new guest begins."""
    if instance.configuration_id is None and instance.configuration_held is None:
        return {}
    return dict(wanted(operation, instance).values)


def held_since(operation: Operation, answer: Overridden) -> Done:
    """What is recorded of a guest that has taken what was sent."""
    sent = as_dict(operation.resources)["sent"]
    return Done({"holding": sent, "restart_required": answer.restart_required})


def begun_with(operation: Operation, steps: Iterable[Step]) -> None:
    """Put on record whether the guest that one of the steps has brought up holds what it was sent.

    One of a release that knows no groups has left the values out; it is told of them when it can.
    """
    sent = as_dict(operation.resources).get("sent")
    asked = next((each.name for each in steps if each.asks in BEGINNING), None)
    if sent is None or asked is None:
        return
    row = rows.find(command_id(operation.id, asked))
    if row is None or row.result is None:
        return
    if not sent or contract.METHODS[row.method].decode(row.result).holds_configuration:
        _record(operation, {"holding": sent})
    else:
        _record(operation, {"holding": "", "configuration_refused": KNOWS_NO_GROUPS})


def is_behind(instance: Instance) -> bool:
    """Whether a guest lacks something of what it is to hold."""
    if instance.configuration_id is None and instance.configuration_held is None:
        return False
    return configurations.told_by(configurations.wanted_by(instance)) != instance.configuration_held


def can_be_told(instance: Instance) -> bool:
    """Whether a guest is heard, and knows how to hold values.

    Of one that has told nothing in its generation it is not known: it answers for itself.
    """
    return _is_heard(instance) and not _knows_no_groups(instance)


def _is_heard(instance: Instance) -> bool:
    reported = instances.service_status(instance.id)
    if reported is None or reported.status == ServiceStatus.UNKNOWN:
        return False
    return aws.clock() - reported.updated < settings().heartbeat_expiry_seconds


def _knows_no_groups(instance: Instance) -> bool:
    """Whether its engine has none, or its agent has said that it is of an older release."""
    method, reported = contract.UPDATE_OVERRIDES, instances.service_status(instance.id)
    older = reported is not None and reported.epoch and reported.agent_release < method.since
    return bool(older) or not engines.can(instance.manager, method.part)


def bring(operation: Operation, *, to_one_that_runs: bool = True) -> Outcome:
    """Tell a guest in passing what it lacks. One that refuses, or says nothing, holds nobody up.

    The instance's row still says then that it lacks it, and its fault why.
    """
    instance = instances.get_instance(operation.instance_id)
    until = as_dict(operation.resources).get("bring_until")
    if until is None:
        if not is_behind(instance) or not _is_heard(instance):
            return Done()
        if _knows_no_groups(instance):
            return Done({"configuration_refused": KNOWS_NO_GROUPS})
        until = aws.clock() + BRING_SECONDS
        _record(operation, {"bring_until": until})
    if to_one_that_runs and not _runs(instance) and aws.clock() < until:
        return not_yet(operation, "waiting for the database to take the configuration")
    arguments, method = wanted(operation, instance), contract.UPDATE_OVERRIDES
    asked = ask_by_polls(operation, COMMAND, method, arguments, until=float(until))
    if asked.answered is None and aws.clock() < until:
        return not_yet(operation, "waiting for the guest agent to take the configuration")
    fault = commands.fault_of(asked)
    if fault is None and asked.answered is not None:
        return held_since(operation, method.decode(asked.result))
    said = fault.message if fault is not None else "the guest agent did not answer in time."
    return Done({"configuration_refused": f"The configuration was not applied: {said}"})


def _runs(instance: Instance) -> bool:
    reported = instances.service_status(instance.id)
    return reported is not None and reported.status in lifecycle.READY


def _record(operation: Operation, resources: dict[str, Any]) -> None:
    try:
        operations.record(operation, resources)
    except ConditionFailed:
        raise Busy(f"{operation.step} of {operation.id} overran its lease") from None
