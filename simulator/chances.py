"""What the services ask a run to decide, shared by all fault classes: each adds its part here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simulator.aws.dynamodb.account import Chances as DataChances
from simulator.aws.dynamodb.tables import Key
from simulator.aws.lambda_ import Event, Fate, Function
from simulator.aws.sqs.delivery import Chances as QueueChances
from simulator.aws.sqs.queues import Message

Transit = Callable[[str, Message, Sequence[float]], Sequence[float]]
"""Takes after how many seconds each copy of a message arrives, and says it anew."""

Decision = Callable[[Function, Event, str], Fate | None]


class SharedQueueChances(QueueChances):
    """The way of a message: each class changes what the one before decided."""

    def __init__(self) -> None:
        self.transits: list[Transit] = []

    def transit(self, queue: str, message: Message) -> Sequence[float]:
        arrivals: Sequence[float] = (0.0,)
        for change in self.transits:
            arrivals = change(queue, message, arrivals)
        return arrivals


class SharedDataChances(DataChances):
    """Odd moments of DynamoDB; the first class that strikes decides."""

    def __init__(self) -> None:
        self.lags: list[Callable[[str, str | None], float]] = []
        self.conflicts: list[Callable[[], bool]] = []
        self.leftovers: list[Callable[[], bool]] = []

    def lag(self, table: str, index: str | None) -> float:
        return max((each(table, index) for each in self.lags), default=0.0)

    def conflict(self, table: str, key: Key) -> bool:
        return any(each() for each in self.conflicts)

    def unprocessed(self, table: str, key: Key) -> bool:
        return any(each() for each in self.leftovers)


class Decisions:
    """What becomes of an invocation: the first class that has an opinion decides."""

    def __init__(self) -> None:
        self.all: list[Decision] = []

    def __call__(self, function: Function, event: Any, source: str) -> Fate:
        for decide in self.all:
            fate = decide(function, event, source)
            if fate is not None:
                return fate
        return Fate.RUN
