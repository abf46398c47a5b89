"""I31: what is cancelled goes back and is undone, unless its last step had begun already."""

from __future__ import annotations

import re
from typing import Final

from chalicelib.api.operations import CANCELLED
from chalicelib.domain.flows import COMPLETE, FLOWS, What
from chalicelib.domain.operations import TERMINAL, OperationStatus
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange
from simulator.kernel import START

_OPERATION: Final = re.compile(r"/v1\.0/[^/]+/instances/[^/]+/operations/([^/?]+)")


class Cancelled(Invariant):
    """Looks at each cancel that is accepted, and at each end of an operation that was called back.

    What a flow cannot take back is not cancelled at all: in fair weather what its DELETE has called
    back is undone whole.
    """

    id = "I31"
    title = "What is cancelled is undone and says why, unless its last step had begun"

    def watch(self) -> None:
        self._in_time: dict[str, None] = {}
        """Operations that were called back before their last step began."""
        self.hub.on_write("operations", self._written)
        self.hub.on_reply(self._replied)

    def _written(self, old: Item | None, new: Item | None) -> None:
        if old is None or new is None or not FLOWS[new["action"]].revocable:
            return
        if "cancelled" in new and "cancelled" not in old and COMPLETE.name not in old["started"]:
            self._in_time[new["id"]] = None
        if new["status"] in TERMINAL and old["status"] not in TERMINAL and "cancelled" in new:
            self._ended(new)

    def _ended(self, new: Item) -> None:
        self.exercised += 1
        in_time = new["id"] in self._in_time
        self._in_time.pop(new["id"], None)
        name, how = f"{new['action']} {new['id']}", FLOWS[new["action"]]
        undone = new["status"] != OperationStatus.SUCCEEDED
        if undone and new["cancelled"] not in new.get("reason", ""):
            self.broken(f"{name} was cancelled, and says: {new.get('reason')!r}", _whose(new))
        if new["status"] == OperationStatus.SUCCEEDED:
            if in_time:
                self.broken(f"{name} was cancelled in time and went on to its end", _whose(new))
        elif self.hub.fair_since == START and new["cancelled"] == CANCELLED:
            recorded = new.get("ended") or {}
            if how.ended(recorded) is not What.UNDONE:
                left = ", ".join(how.unfinished(recorded))
                self.broken(f"{name} was cancelled and is not undone: {left}", _whose(new))

    def _replied(self, exchange: Exchange) -> None:
        found = _OPERATION.match(exchange.path)
        if exchange.method != "DELETE" or exchange.reply.status != 202 or found is None:
            return
        self.exercised += 1
        row = self.hub.row("operations", found[1])
        if row is None or row["status"] in TERMINAL or row.get("compensating"):
            return
        if "cancelled" not in row:
            text = f"the cancel of {row['action']} {row['id']} was accepted, and nobody told it"
            self.broken(text, _whose(row))


def _whose(operation: Item) -> str:
    return str(operation["instance_id"])
