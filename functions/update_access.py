"""The flow `update_access`: an instance's rules and public address, as asked or as they were.

The instance stays ACTIVE and goes on serving. Its row shows the old access until the new one holds;
after a failure the old one is restored, and the reason stands in the instance's fault. A delete
calls the change back, and then there is nothing to restore: it takes all of it away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chalicelib.cloud import network
from chalicelib.store import instances
from chalicelib.store.models import Operation
from functions import access
from functions.outcomes import Done, Failed, Outcome, not_yet
from functions.undoing import unless_deleted


def apply(operation: Operation, _: str | None) -> Outcome:
    """Make the cloud as it was asked for."""
    return _make(operation, operation.arguments or {})


def restore(operation: Operation, _: str | None) -> Outcome:
    """Make the cloud as the instance's row still says."""
    return _make(operation, instances.get_instance(operation.instance_id).access or {})


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


STEPS: Final = {"apply": apply, "restore": unless_deleted(restore)}
