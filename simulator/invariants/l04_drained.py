"""L4: queues are drained; the dead-letter queue held only what F16 made, each counted."""

from __future__ import annotations

from typing import Final

from chalicelib.bus.queues import REASON
from chalicelib.conductor.dead_letters import KIND
from simulator.aws.dynamodb.values import Item
from simulator.aws.sqs.queues import Message
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Hub
from simulator.template import PREFIX

OWN: Final = ("taskmanager", "conductor", "dead-letters")
TAKE_SECONDS: Final = 60.0
"""A message that is to be seen is taken within so long."""
RUN_SECONDS: Final = 900.0
"""What was taken is answered within so long."""
UNTRUSTED: Final = ("BadSeal", "Malformed", "UnknownVersion", "TooLarge")
"""Reasons that an honest message never has."""


class Drained(Invariant):
    """Counts messages after heal, and the records of what was poisoned."""

    id = "L4"
    title = "Queues are drained; dead letters were poison, each with a record"

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.poisoned = 0
        """Messages that a fault has made; F16 counts them."""
        self.buried = 0
        self.recorded = 0

    def watch(self) -> None:
        self.hub.on_write("events", self._recorded)
        self.hub.on_message(self._sent)

    def _sent(self, queue: str, message: Message) -> None:
        running = self.hub.run.kernel.current
        honest = running is not None
        if queue == f"{PREFIX}-dead-letters" and REASON in message.attributes:
            self.buried += 1
        if not honest and queue.startswith(f"{PREFIX}-"):
            self.poisoned += 1

    def _recorded(self, old: Item | None, new: Item | None) -> None:
        if new is None or new["kind"] != KIND:
            return
        self.recorded += int(new.get("times", 1)) - int(old.get("times", 1) if old else 0)
        honest = not (self.poisoned or self.hub.hostile)
        if honest and any(reason in new["message"] for reason in UNTRUSTED):
            self.broken(f"an honest message was buried: {new['message']}")

    def check_healed(self) -> None:
        if self.recorded < self.buried:
            self.broken(f"{self.buried} messages were buried, {self.recorded} were counted")
        region = self.hub.run.region
        now = self.hub.run.kernel.now
        for name in OWN:
            self.exercised += 1
            left = sum(region.sqs.queues[f"{PREFIX}-{name}"].counts(now))
            if left:
                self.broken(f"{left} messages are left on {name}")
        for row in self.hub.rows("instances"):
            queue = region.sqs.queues.get(f"{PREFIX}-guest-{row['id']}-{row['generation']}")
            if row["status"] != "ACTIVE" or queue is None or not queue.messages:
                continue
            left = sum(_is_left(message, now) for message in queue.messages.values())
            reachable = any(guest.power for guest in self.hub.run.fleet.of_instance(row["id"]))
            if left and reachable:
                self.broken(f"{left} commands are left on its guest's queue", row["id"])


def _is_left(message: Message, now: float) -> bool:
    """Whether a guest had the time to take a message, and to be done with it."""
    taken = message.first_received_at or now
    return message.visible_at < now - TAKE_SECONDS or taken < now - RUN_SECONDS
