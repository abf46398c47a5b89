"""F3: messages that take their time, and calls so slow that a second worker starts meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.aws.lambda_ import Container
from simulator.aws.sqs.queues import Message
from simulator.effects import Effect
from simulator.faults.base import Fault

MOST_MEAN_SECONDS = 5.0
TAIL = 0.03
TAIL_SECONDS = 900.0
SLOW_CALLS = 0.02
"""Of the messages' share: how many calls of a handler are slow."""
SLOW_SECONDS = (1.0, 45.0)


class Delay(Fault):
    id = "F3"
    title = "delay"
    range = (0.0, 0.1)

    def install(self) -> None:
        self.on = True
        self.mean = self.stream.uniform(0.1, MOST_MEAN_SECONDS)
        self.world.queue_chances.transits.append(self._transit)
        self.world.region.effects.hooks.append(self)

    def heal(self) -> None:
        self.on = False
        self.world.region.effects.hooks.remove(self)

    def _transit(self, queue: str, message: Message, arrivals: Sequence[float]) -> Sequence[float]:
        if not arrivals or not self.hits():
            return arrivals
        tail = self.stream.random() < TAIL
        late = self.stream.random() * TAIL_SECONDS if tail else self.later(self.mean)
        self.inject(f"message {message.number} on {queue} takes {late:.1f} s")
        return [each + late for each in arrivals]

    def before(self, effect: Effect) -> None:
        """A slow call: a Lambda timeout, a lease or a visibility may run out meanwhile."""
        if isinstance(effect.owner, Container) and self.hits(self.strength * SLOW_CALLS):
            seconds = self.stream.uniform(*SLOW_SECONDS)
            self.inject(f"{effect.service} {effect.call} of {effect.scope} takes {seconds:.1f} s")
            self.world.kernel.sleep(seconds)

    def after(self, effect: Effect) -> None:
        return None
