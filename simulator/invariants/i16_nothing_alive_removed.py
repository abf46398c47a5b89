"""I16: nothing that a live or unknown row may own is removed, and nothing that is not ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from chalicelib.domain.operations import TERMINAL, OperationAction, OperationStatus
from chalicelib.lifecycle import Status
from simulator.aws.dynamodb.values import Item
from simulator.effects import Effect
from simulator.invariants.base import Invariant
from simulator.invariants.things import marked_for
from simulator.template import PREFIX

_REMOVALS: Final = {
    "servers.delete": ("server", "server_id"),
    "volumes.delete": ("volume", "volume_id"),
    "network.delete_port": ("port", "port_id"),
    "network.delete_security_group": ("security group", "group_id"),
    "network.delete_floating_address": ("floating address", "address_id"),
    "server_groups.delete": ("server group", "group_id"),
}

_DELETED: Final = (OperationAction.DELETE, OperationStatus.SUCCEEDED)


class NothingAliveRemoved(Invariant):
    """Asks at each removal in the cloud who may own the thing, before the call is made.

    It is right while an operation of the instance is under way (a delete, or the undoing of a
    create), and when the row says DELETED, or, where a restore has lost that, when a delete has
    succeeded. That there is no row allows nothing.
    """

    id = "I16"
    title = "Nothing is removed that a live or unknown row may own, or that is not ours"

    def watch(self) -> None:
        self.hub.run.region.effects.hooks.append(self)

    def before(self, effect: Effect) -> None:
        if effect.service != "openstack" or effect.call not in _REMOVALS:
            return
        kind, argument = _REMOVALS[effect.call]
        thing = self._things(kind).get(effect.what[argument])
        if thing is None:
            return
        self.exercised += 1
        instance_id = marked_for(thing)
        own = thing.project_id == self.hub.run.cloud_functions.caller.project_id
        if instance_id is None or not own:
            self.broken(f"{effect.scope} removes the {kind} {thing.id}, which is not ours")
            return
        row = self.hub.row("instances", instance_id)
        status = "no row" if row is None else row["status"]
        lost = row is None and self._has(instance_id, _was_deleted)
        if status != Status.DELETED and not lost and not self._has(instance_id, _is_live):
            text = f"{effect.scope} removes the {kind} of an instance at rest: {status}"
            self.broken(text, instance_id)

    def after(self, effect: Effect) -> None:
        return None

    def _things(self, kind: str) -> dict[str, Any]:
        cloud = self.hub.run.cloud
        things: dict[str, dict[str, Any]] = {
            "server": dict(cloud.compute.servers),
            "volume": dict(cloud.volume.volumes),
            "port": dict(cloud.network.ports),
            "security group": dict(cloud.network.security_groups.groups),
            "floating address": dict(cloud.network.floating.rows),
            "server group": dict(cloud.compute.groups.groups),
        }
        return things[kind]

    def _has(self, instance_id: str, which: Callable[[Item], bool]) -> bool:
        """Whether the instance has such an operation."""
        table = self.hub.run.region.dynamodb.tables[f"{PREFIX}-operations"]
        entries = table.indexes["instance-index"].partitions.get(instance_id, [])
        return any(which(table.items[key]) for _, key in entries)


def _is_live(operation: Item) -> bool:
    return operation["status"] not in TERMINAL


def _was_deleted(operation: Item) -> bool:
    return (operation["action"], operation["status"]) == _DELETED
