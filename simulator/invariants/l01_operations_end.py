"""L1: every accepted operation reached a terminal state, and its reason is told."""

from __future__ import annotations

import json
import re
from typing import Final

from chalicelib.domain.operations import TERMINAL, OperationAction, OperationStatus
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Exchange, Invariant

_INSTANCE: Final = re.compile(r"/v1\.0/[^/]+/instances/([^/?]+)")


class OperationsEnd(Invariant):
    """Remembers what was accepted, by rows and by replies, and asks for its end after heal."""

    id = "L1"
    title = "Every accepted operation reached a terminal state, and its reason is told"

    def watch(self) -> None:
        self._accepted: dict[str, str] = {}
        self._created: dict[str, None] = {}
        self._deleted: dict[str, None] = {}
        self._with_delete: dict[str, None] = {}
        self.hub.on_write("operations", self._written)
        self.hub.on_reply(self._replied)

    def _written(self, old: Item | None, new: Item | None) -> None:
        if old is None and new is not None:
            self._accepted[new["id"]] = new["instance_id"]
            if new["action"] == OperationAction.DELETE:
                self._with_delete[new["instance_id"]] = None

    def _replied(self, exchange: Exchange) -> None:
        path = exchange.path.partition("?")[0]
        if exchange.reply.status >= 300:
            return
        found = _INSTANCE.fullmatch(path)
        if exchange.method == "DELETE" and found:
            self._deleted[found[1]] = None
        elif exchange.method == "POST" and path.endswith("/instances"):
            self._created[json.loads(exchange.reply.body)["instance"]["id"]] = None

    def check(self) -> None:
        """Accepted means durable: what a reply promised has its row at once."""
        for instance_id in self._created:
            if instance_id not in self.hub.tenants:
                self.broken("a create was accepted and left no row", instance_id)
        for instance_id in self._deleted:
            if instance_id not in self._with_delete:
                self.broken("a delete was accepted and left no operation", instance_id)

    def check_healed(self) -> None:
        for operation_id, instance_id in self._accepted.items():
            self.exercised += 1
            row = self.hub.row("operations", operation_id)
            if row is None:
                continue  # past its time to live
            if row["status"] not in TERMINAL:
                at = f" in {row['step']}" if "step" in row else ""
                self.broken(f"{row['action']} {operation_id} is {row['status']}{at}", instance_id)
            elif row["status"] != OperationStatus.SUCCEEDED and not row.get("reason"):
                text = f"{row['action']} {operation_id} {row['status']} without a reason"
                self.broken(text, instance_id)
