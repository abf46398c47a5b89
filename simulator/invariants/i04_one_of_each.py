"""I4: at most one server, volume, port, group and queue per (instance, generation, role)."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.operations import TERMINAL, OperationAction, OperationStatus
from simulator.aws.dynamodb.values import Item
from simulator.effects import Effect
from simulator.invariants.base import Invariant
from simulator.invariants.rows import changed
from simulator.invariants.things import owned_things, owner_of, things_of

_MAKES = ("servers.create", "volumes.create", "network.create_port",
          "network.create_security_group")  # fmt: skip


class OneOfEach(Invariant):
    """Looks at the cloud's own model whenever something is made and when an operation ends.

    A duplicate that an unknown result left behind may live as long as the operation that made it.
    """

    id = "I4"
    title = "At most one enrolled server, volume, port and queue per instance and generation"

    def watch(self) -> None:
        self.hub.on_effect("openstack", self._made)
        self.hub.on_write("operations", self._operation)
        self.hub.on_write("guests", self._enrolled)

    def _made(self, effect: Effect) -> None:
        if effect.call not in _MAKES:
            return
        instance_id = owner_of(str(effect.what["name"]))
        if instance_id is None:
            return
        self.exercised += 1
        row = self.hub.row("instances", instance_id)
        if row is None or "operation_id" not in row:
            text = f"{effect.call} while the instance has no live operation"
            self.broken(text, instance_id)

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if new is not None and changed(old, new, "status") and new["status"] in TERMINAL:
            gone_through = new["status"] == OperationStatus.SUCCEEDED
            if gone_through and new["action"] == OperationAction.DELETE:
                self.hub.soon(self._nothing, new["instance_id"])
            elif gone_through or "Not undone" not in str(new.get("reason", "")):
                self.hub.soon(self._compare, new["instance_id"])

    def _nothing(self, instance_id: str) -> None:
        """A delete that has succeeded has left nothing, and nothing for the maintenance to find."""
        self.exercised += 1
        for kind, things in things_of(self.hub.run.cloud, instance_id).items():
            if things:
                ids = ", ".join(thing.id for thing in things)
                self.broken(f"{len(things)} of {kind} after the delete: {ids}", instance_id)

    def _compare(self, instance_id: str) -> None:
        self._judge(instance_id, things_of(self.hub.run.cloud, instance_id))

    def _judge(self, instance_id: str, found: dict[str, list[Any]]) -> None:
        self.exercised += 1
        for kind, things in found.items():
            if len(things) > 1:
                ids = ", ".join(thing.id for thing in things)
                self.broken(f"{len(things)} of {kind} after the operation: {ids}", instance_id)

    def _enrolled(self, old: Item | None, new: Item | None) -> None:
        """The key and the server that enrolled first hold the generation for good."""
        if old is None or new is None:
            return
        self.exercised += 1
        if changed(old, new, "public_key", "server_id"):
            text = f"generation {new['generation']} was enrolled a second time"
            self.broken(text, new["instance_id"])

    def check(self) -> None:
        owned: dict[str, dict[str, list[Any]]] = {}
        for kind, instance_id, thing in owned_things(self.hub.run.cloud):
            owned.setdefault(instance_id, {}).setdefault(kind, []).append(thing)
        for row in self.hub.rows("instances"):
            if "operation_id" not in row and row["status"] == "ACTIVE":
                self._judge(row["id"], owned.get(row["id"], {}))
