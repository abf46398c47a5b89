"""F4: a send that failed before or after it was enqueued, a message that is never delivered."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.aws.errors import unavailable
from simulator.aws.sqs.queues import Message
from simulator.effects import Effect
from simulator.faults.base import Fault

SENDS = ("SendMessage", "SendMessageBatch")


class Loss(Fault):
    id = "F4"
    title = "loss and unknown result"
    range = (0.0, 0.05)

    def install(self) -> None:
        self.on = True
        self.run.queue_chances.transits.append(self._transit)
        self.run.region.effects.hooks.append(self)

    def heal(self) -> None:
        self.on = False
        self.run.region.effects.hooks.remove(self)

    def _transit(self, queue: str, message: Message, arrivals: Sequence[float]) -> Sequence[float]:
        """Only what may be lost: hints and heartbeats, and commands, which have an expiry.

        SQS keeps what it accepted; a message is gone when it outlived its retention, which for the
        reports of guests is 14 days: none of a run lives as long.
        """
        if queue.endswith(("-conductor", "-dead-letters")) or not self.hits():
            return arrivals
        self.inject(f"message {message.number} on {queue} outlived its retention")
        return ()

    def before(self, effect: Effect) -> None:
        if effect.service == "sqs" and effect.call in SENDS and self.hits(self.strength / 2):
            self.inject(f"{effect.call} of {effect.scope} failed before it was enqueued")
            raise unavailable("sqs", effect.call)

    def after(self, effect: Effect) -> None:
        if effect.service == "sqs" and effect.call in SENDS and self.hits(self.strength / 2):
            self.inject(f"{effect.call} of {effect.scope} failed after it was enqueued")
            raise unavailable("sqs", effect.call)
