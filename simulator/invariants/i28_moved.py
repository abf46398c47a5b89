"""I28: an instance that was migrated is on another host, or on the one that was named."""

from __future__ import annotations

import json

from chalicelib.domain.operations import OperationAction, OperationStatus
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.things import owned_things


class Moved(Invariant):
    """Looks where the server is when a migration is told to have succeeded."""

    id = "I28"
    title = "What was migrated is on another host, or on the one that was asked for"

    def watch(self) -> None:
        self.hub.on_write("operations", self._operation)

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if new is None or new["action"] != OperationAction.MIGRATE or self.hub.restoring:
            return
        was = old["status"] if old is not None else None
        if new["status"] == OperationStatus.SUCCEEDED != was:
            self._look(new)

    def _look(self, operation: Item) -> None:
        self.exercised += 1
        wanted = json.loads(operation["arguments"])["host"]
        left = operation["resources"]["host_id"]
        for kind, instance_id, server in owned_things(self.hub.run.cloud):
            if kind != "server" or instance_id != operation["instance_id"]:
                continue
            if server.host_id == left:
                self.broken(f"its server is on {server.host}, where it was before", instance_id)
            elif wanted not in (None, server.host):
                self.broken(f"its server is on {server.host} instead of {wanted}", instance_id)
