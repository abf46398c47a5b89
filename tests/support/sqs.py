"""The simulator's SQS on a clock that is moved by hand: nobody waits, whoever asks gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from simulator.aws.sqs.service import Sqs
from simulator.kernel import Coroutine

BASE: Final = "https://sqs.us-east-1.amazonaws.com/123456789012/"
VISIBILITY_SECONDS: Final = 20
MOST_RECEIVES: Final = 5


class HandTime:
    """The time of a world without coroutines."""

    current: Coroutine | None = None

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    @property
    def now(self) -> float:
        return self._clock()

    def call_at(self, when: float, function: Callable[..., None], *args: Any) -> None:
        """Nothing happens by itself."""

    def suspend(self) -> Coroutine:
        raise AssertionError("nobody can wait here")

    def wake(self, coroutine: Coroutine, after: float = 0.0) -> None:
        raise AssertionError("nobody can wait here")


class MemorySqs(Sqs):
    """The queues, and every body that was ever sent."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(HandTime(clock))
        self.bodies: list[str] = []
        self.watchers.append(lambda queue, message: self.bodies.append(message.body))

    def make(self, name: str, *, redrive: bool) -> None:
        """Make a queue of the control plane."""
        attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        if redrive:
            target = self.arn("coffer-dead-letters")
            policy = {"deadLetterTargetArn": target, "maxReceiveCount": MOST_RECEIVES}
            attributes["RedrivePolicy"] = json.dumps(policy)
        self.create_queue(QueueName=name, Attributes=attributes)

    def next_visible(self, url: str) -> float | None:
        """When the next message of a queue can be received."""
        return self.queue(url, "ReceiveMessage").next_visible(self.time.now)
