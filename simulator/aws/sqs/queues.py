"""A standard queue: a heap of messages by the time at which each can be received.

Nothing about a queue happens by itself: messages are looked at when somebody receives or waits, so
a queue that is idle costs its few fields and no event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from heapq import heappop, heappush
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

MIB: Final = 1024 * 1024
MOST_IN_FLIGHT: Final = 120_000
MOST_PICKED_FROM: Final = 1000

DEFAULTS: Final = {
    "DelaySeconds": 0,
    "MaximumMessageSize": MIB,
    "MessageRetentionPeriod": 345_600,
    "ReceiveMessageWaitTimeSeconds": 0,
    "VisibilityTimeout": 30,
}
RANGES: Final = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, MIB),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
OTHERS: Final = frozenset(
    {
        "KmsDataKeyReusePeriodSeconds",
        "KmsMasterKeyId",
        "Policy",
        "RedriveAllowPolicy",
        "RedrivePolicy",
        "SqsManagedSseEnabled",
    }
)


NO_TAGS: Final[Mapping[str, str]] = MappingProxyType({})


class BadAttribute(Exception):
    """A name that no queue has, or a value out of its range; `code` is the service's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Settings(NamedTuple):
    """What a queue's attributes come to; queues with the same attributes share one."""

    given: tuple[tuple[str, str], ...]
    delay: int
    largest: int
    retention: int
    wait: int
    visibility: int
    dead_letters: str | None
    most_receives: int

    @property
    def attributes(self) -> dict[str, str]:
        """All attributes in force, as the service shows them."""
        defaults = {name: str(value) for name, value in DEFAULTS.items()}
        return {**defaults, "SqsManagedSseEnabled": "true", **dict(self.given)}


def settings_of(attributes: Mapping[str, Any]) -> Settings:
    """Settings from attributes; `BadAttribute` for what the service refuses."""
    given = {name: str(value) for name, value in attributes.items()}
    return _settings(tuple(sorted(given.items())))


@lru_cache(maxsize=256)
def _settings(given: tuple[tuple[str, str], ...]) -> Settings:
    values = dict(DEFAULTS)
    dead_letters, most_receives = None, 0
    for name, text in given:
        if name in RANGES:
            values[name] = _within(name, text)
        elif name == "RedrivePolicy" and text:
            dead_letters, most_receives = _redrive(text)
        elif name not in OTHERS:
            raise BadAttribute("InvalidAttributeName", f"Unknown Attribute {name}.")
    return Settings(
        given,
        delay=values["DelaySeconds"],
        largest=values["MaximumMessageSize"],
        retention=values["MessageRetentionPeriod"],
        wait=values["ReceiveMessageWaitTimeSeconds"],
        visibility=values["VisibilityTimeout"],
        dead_letters=dead_letters,
        most_receives=most_receives,
    )


def _within(name: str, text: str) -> int:
    low, high = RANGES[name]
    if not text.isdecimal() or not low <= int(text) <= high:
        raise BadAttribute("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
    return int(text)


def _redrive(text: str) -> tuple[str, int]:
    try:
        policy = msgspec.json.decode(text)
        target, most = str(policy["deadLetterTargetArn"]), int(policy["maxReceiveCount"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        target, most = "", 0
    if not target or not 1 <= most <= 1000:
        raise BadAttribute(
            "InvalidParameterValue",
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: Redrive policy is not "
            "valid",
        )
    return target, most


class Message:
    """A message on one queue. Copies of a message are messages of their own with the same id."""

    __slots__ = (
        "attributes",
        "body",
        "digest",
        "first_received_at",
        "gone",
        "id",
        "number",
        "receives",
        "sent_at",
        "visible_at",
    )

    def __init__(
        self, number: int, message_id: str, body: str, attributes: Any, sent_at: float
    ) -> None:
        self.number = number
        self.id = message_id
        self.body = body
        self.digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
        """What SQS shows as the MD5 of the body."""
        self.attributes: Mapping[str, Mapping[str, Any]] = attributes
        self.sent_at = sent_at
        self.visible_at = sent_at
        self.receives = 0
        self.first_received_at = 0.0
        self.gone = False

    @property
    def receipt(self) -> str:
        """The handle of the last receive."""
        return f"{self.number}.{self.receives}"

    def system_attributes(self) -> dict[str, str]:
        """What the service says of the message beside its body."""
        return {
            "ApproximateReceiveCount": str(self.receives),
            "SentTimestamp": str(int(self.sent_at * 1000)),
            "SenderId": "AIDACKCEVSQ6C2EXAMPLE",
            "ApproximateFirstReceiveTimestamp": str(int(self.first_received_at * 1000)),
        }


Pick = Callable[[str, int], int]
"""Which of so many receivable messages of a queue is next; 0 is the oldest."""


class Queue:
    """A queue's messages. Times are virtual seconds since the epoch."""

    __slots__ = ("_heap", "alarm_at", "arrivals", "created_at", "messages", "name", "noticed",
                 "settings", "tags", "waiters")  # fmt: skip

    def __init__(
        self, name: str, settings: Settings, now: float, tags: Mapping[str, str] = NO_TAGS
    ) -> None:
        self.name = name
        self.settings = settings
        self.tags = tags
        self.created_at = now
        self.messages: dict[int, Message] = {}
        self.arrivals: tuple[Callable[[], None], ...] = ()
        self.waiters: list[Any] | None = None
        self.noticed = False
        self.alarm_at: float | None = None
        self._heap: list[tuple[float, int]] = []

    def put(self, message: Message, visible_at: float) -> None:
        """Add a message that can be received from then on."""
        self.messages[message.number] = message
        self.show(message, visible_at)

    def show(self, message: Message, visible_at: float) -> None:
        """Set when a message can be received (again)."""
        message.visible_at = visible_at
        heappush(self._heap, (visible_at, message.number))

    def remove(self, message: Message) -> None:
        """Forget a message; its place in the heap is skipped later."""
        message.gone = True
        self.messages.pop(message.number, None)
        if not self.messages:
            self._heap.clear()

    def by_receipt(self, receipt: str) -> tuple[Message | None, bool]:
        """The message of a receipt handle and whether it is the last one given out for it.

        Raises ValueError for what was never a handle.
        """
        number, _, receives = receipt.partition(".")
        message = self.messages.get(int(number))
        return message, message is not None and int(receives) == message.receives

    def next_visible(self, now: float) -> float | None:
        """When the next message can be received: now, later, or (None) never."""
        heap = self._heap
        while heap:
            when, number = heap[0]
            message = self.messages.get(number)
            if message is None or message.visible_at != when:
                heappop(heap)
            elif not self._expired(message, now):
                return when
        return None

    def _expired(self, message: Message, now: float) -> bool:
        if message.sent_at + self.settings.retention > now:
            return False
        self.remove(message)
        return True

    def next(self, now: float, pick: Pick | None) -> Message | None:
        """Take the next receivable message off the heap; it stays among the messages."""
        due = self.next_visible(now)
        if due is None or due > now:
            return None
        if pick is not None:
            return self._picked(now, pick)
        return self.messages[heappop(self._heap)[1]]

    def _picked(self, now: float, pick: Pick) -> Message:
        visible: list[tuple[float, int]] = []
        while len(visible) < MOST_PICKED_FROM:
            due = self.next_visible(now)
            if due is None or due > now:
                break
            visible.append(heappop(self._heap))
        chosen = visible.pop(pick(self.name, len(visible)))
        for entry in visible:
            heappush(self._heap, entry)
        return self.messages[chosen[1]]

    def counts(self, now: float) -> tuple[int, int, int]:
        """How many messages are visible, in flight, delayed."""
        visible = hidden = delayed = 0
        for message in list(self.messages.values()):
            if self._expired(message, now):
                continue
            if message.visible_at <= now:
                visible += 1
            elif message.receives:
                hidden += 1
            else:
                delayed += 1
        return visible, hidden, delayed
