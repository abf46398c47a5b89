"""I24: what is protected against deletion is not deleted, whoever asks and whatever races."""

from __future__ import annotations

from chalicelib.lifecycle import Status
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange, Hub
from simulator.template import PREFIX

OVERRIDE = "ignore_protection"
"""What an administrator says in the body of a forced delete that may."""


class Protected(Invariant):
    """Looks at each instance that begins to go away, and at each delete that is refused."""

    id = "I24"
    title = "What is protected against deletion is deleted only by an administrator who says so"

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._allowed: set[str] = set()  # deletes that an administrator insisted on

    def watch(self) -> None:
        self.hub.on_write("instances", self._written)
        self.hub.on_reply(self._replied)

    def _written(self, old: Item | None, new: Item | None) -> None:
        if new is None or not new.get("protected") or self.hub.restoring:
            return
        self.exercised += 1
        before = old["status"] if old is not None else None
        begins = before != Status.SHUTDOWN and new["status"] == Status.SHUTDOWN
        delete = new.get("next_operation_id") or new.get("operation_id", "")
        if begins and self._overridden():
            self._allowed.add(delete)
        elif begins and delete not in self._allowed:  # one may wait, and a reset come between
            self.broken(f"it is protected and was {before}, and is being deleted", new["id"])

    def _overridden(self) -> bool:
        invocation = self.hub.invocation(f"{PREFIX}-api")
        return invocation is not None and OVERRIDE in (invocation.event.get("body") or "")

    def _replied(self, exchange: Exchange) -> None:
        if exchange.method == "DELETE" and exchange.reply.status == 409:
            self.exercised += 1
