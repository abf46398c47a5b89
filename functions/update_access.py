"""The flow `update_access`: an instance's rules and public address, as asked or as they were.

The instance stays ACTIVE and goes on serving. Its row shows the old access until the new one holds;
after a failure the old one is restored, and the reason stands in the instance's fault. A delete
calls the change back, and then there is nothing to restore: it takes all of it away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.bus import queues
from chalicelib.cloud import network
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Event
from chalicelib.store import instances
from chalicelib.store.base import as_dict
from chalicelib.store.instances import Ending
from chalicelib.store.models import Instance, Operation
from functions import access
from functions.outcomes import Done, Failed, Outcome, not_yet


def apply(operation: Operation, _: str | None) -> Outcome:
    """Make the cloud as it was asked for."""
    return _make(operation, operation.arguments or {})


def restore(operation: Operation, _: str | None) -> Outcome:
    """Make the cloud as the instance's row still says, unless a delete waits for its turn."""
    if _is_leaving(operation):
        return Done()
    return _make(operation, instances.get_instance(operation.instance_id).access or {})


def _is_leaving(operation: Operation) -> bool:
    """Whether a delete waits behind the change."""
    instance = instances.find_instance(operation.instance_id)
    return instance is not None and instance.next_operation_id is not None


def _make(operation: Operation, wanted: Mapping[str, Any]) -> Outcome:
    instance = instances.get_instance(operation.instance_id)
    groups, ports = network.find_security_groups(instance.id), network.find_ports(instance.id)
    if not groups or not ports:
        return Failed("The instance's port or security group has vanished.")
    access.allow(groups[0], instance, wanted)
    addresses = access.publish(instance.id, ports[0], wanted)
    if not access.holds(instance, wanted):
        return not_yet(operation, "waiting for the cloud to show the access")
    return Done({"addresses": addresses})


def complete(operation: Operation, _: str | None) -> Outcome:
    """The new access holds, and the row shows it."""
    ending = Ending(
        OperationStatus.SUCCEEDED,
        Event.ACCESS_UPDATED,
        changes=(
            Instance.access.set(operation.arguments),
            *_addresses(operation),
            Instance.fault_message.remove(),
            Instance.fault_created.remove(),
        ),
    )
    return _end(operation, ending)


def fail(operation: Operation, _: str | None) -> Outcome:
    """The old access holds, or what is left of it; the fault tells why, and whether."""
    reason = operation.cancelled or operation.reason or "The change of the access did not finish."
    if _is_leaving(operation):
        reason = f"The change of the access was given up: {reason}"
    elif "restore" in as_dict(operation.ended):
        reason = f"The access was not changed: {reason}"
    else:
        reason = f"The access may be changed in part: {reason} Ask for the access again."
    ending = Ending(
        OperationStatus.CANCELLED if operation.cancelled else OperationStatus.FAILED,
        Event.ACCESS_UPDATE_FAILED,
        reason=reason,
        changes=_addresses(operation),
    )
    return _end(operation, ending)


def _addresses(operation: Operation) -> tuple[Any, ...]:
    found = as_dict(operation.resources).get("addresses")
    return () if found is None else (Instance.addresses.set(found),)


def _end(operation: Operation, ending: Ending) -> Outcome:
    following = instances.end_operation(operation, ending)
    if following is not None:
        queues.notify_task_manager(following)
    return Done()
