"""F4: a send that failed before or after it was enqueued, a message that outlives its retention or
ends among the dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.aws.errors import unavailable
from simulator.aws.sqs.queues import Message
from simulator.effects import Effect
from simulator.faults.base import Fault

SENDS: Final = ("SendMessage", "SendMessageBatch")
DEAD_LETTERS: Final = 0.5
"""Share of the hints that end among the dead letters, rather than nowhere."""


class Loss(Fault):
    """What a guest answered is never lost: SQS keeps it for days, longer than any run.

    Heartbeats outlive their five minutes in the queue itself. A hint and a command, whose retention
    is days as well, are lost at once: the operation's row, and the command's expiry, must do.
    """

    id = "F4"
    title = "loss and unknown result"
    range = (0.0, 0.05)
    missing = "a guest's report that outlives its retention: 14 days, longer than a run"

    def install(self) -> None:
        self.on = True
        self.world.queue_chances.transits.append(self._transit)
        self.world.region.effects.hooks.append(self)

    def heal(self) -> None:
        self.on = False
        self.world.region.effects.hooks.remove(self)

    def _transit(self, queue: str, message: Message, arrivals: Sequence[float]) -> Sequence[float]:
        if not arrivals or queue.endswith("-dead-letters") or not self.hits():
            return arrivals
        settings = self.world.region.sqs.queues[queue].settings
        redriven = settings.dead_letters is not None
        if queue.endswith("-conductor") or (redriven and self.stream.random() < DEAD_LETTERS):
            after = settings.visibility * settings.most_receives
            self.inject(f"message {message.number} on {queue} is a dead letter in {after} s")
            self.world.region.sqs.give_up(queue, message, after)
            return ()
        self.inject(f"message {message.number} on {queue} outlives its retention")
        return (settings.retention,) if queue.endswith("-heartbeats") else ()

    def before(self, effect: Effect) -> None:
        if effect.service == "sqs" and effect.call in SENDS and self.hits(self.strength / 2):
            self.inject(f"{effect.call} of {effect.scope} failed before it was enqueued")
            raise unavailable("sqs", effect.call)

    def after(self, effect: Effect) -> None:
        if effect.service == "sqs" and effect.call in SENDS and self.hits(self.strength / 2):
            self.inject(f"{effect.call} of {effect.scope} failed after it was enqueued")
            raise unavailable("sqs", effect.call)
