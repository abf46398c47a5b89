"""SQS in memory on the world's clock: at least once, visibility timeouts, dead letters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError

BASE: Final = "https://sqs.us-east-1.amazonaws.com/123456789012/"
VISIBILITY_SECONDS: Final = 20.0
MOST_RECEIVES: Final = 5


class QueueDoesNotExist(ClientError):
    """What botocore raises for a queue that is not there."""


class _Exceptions:
    QueueDoesNotExist = QueueDoesNotExist


class Message:
    """A message on its queue; `visible_at` moves with each receive."""

    def __init__(self, number: int, body: str, attributes: dict[str, Any], now: float) -> None:
        self.id = f"message-{number}"
        self.body = body
        self.attributes = attributes
        self.visible_at = now
        self.receives = 0

    def record(self) -> dict[str, Any]:
        """The record of a Lambda event."""
        attributes = {
            name: {"stringValue": each["StringValue"], "dataType": each["DataType"]}
            for name, each in self.attributes.items()
        }
        return {
            "messageId": self.id,
            "body": self.body,
            "messageAttributes": attributes,
            "md5OfBody": hashlib.md5(self.body.encode(), usedforsecurity=False).hexdigest(),
        }


class MemorySqs:
    """The calls of a client that Coffer makes, and `take` and `settle` for consumers."""

    exceptions = _Exceptions

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.queues: dict[str, list[Message]] = {}
        self.dead_letters: dict[str, str] = {}
        self.bodies: list[str] = []
        self._number = 0

    def create_queue(self, QueueName: str, **_: Any) -> dict[str, str]:  # noqa: N803
        """Make a queue, or find it."""
        self.queues.setdefault(BASE + QueueName, [])
        return {"QueueUrl": BASE + QueueName}

    def delete_queue(self, QueueUrl: str) -> None:  # noqa: N803
        """Delete a queue that is there."""
        self._queue(QueueUrl)
        del self.queues[QueueUrl]

    def send_message(
        self,
        QueueUrl: str,  # noqa: N803
        MessageBody: str,  # noqa: N803
        MessageAttributes: dict[str, Any] | None = None,  # noqa: N803
    ) -> None:
        """Put a message on a queue."""
        self._number += 1
        self.bodies.append(MessageBody)
        self._queue(QueueUrl).append(
            Message(self._number, MessageBody, MessageAttributes or {}, self.clock())
        )

    def take(self, url: str) -> Message | None:
        """Receive one visible message; one received too often goes to the dead letters."""
        for message in list(self.queues.get(url, [])):
            if message.visible_at > self.clock():
                continue
            if message.receives >= MOST_RECEIVES and url in self.dead_letters:
                self.queues[url].remove(message)
                message.receives = 0
                self.queues[self.dead_letters[url]].append(message)
                continue
            message.receives += 1
            message.visible_at = self.clock() + VISIBILITY_SECONDS
            return message
        return None

    def settle(self, url: str, message: Message) -> None:
        """Delete a message that was handled."""
        if message in self.queues.get(url, []):
            self.queues[url].remove(message)

    def next_visible(self, url: str) -> float | None:
        """When the next message of a queue can be received."""
        return min((each.visible_at for each in self.queues.get(url, [])), default=None)

    def records(self, url: str) -> list[dict[str, Any]]:
        """What lies on a queue."""
        return [message.record() for message in self.queues[url]]

    def _queue(self, url: str) -> list[Message]:
        if url not in self.queues:
            body = {"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue", "Message": url}}
            raise QueueDoesNotExist(body, "SQS")  # type: ignore[arg-type]
        return self.queues[url]
