"""The calls of SQS on queues in memory.

Sources of the semantics: the API reference and the developer guide of Amazon SQS. Delivery is at
least once and in no order: what happens to a message on its way a run decides by `Chances`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Final

from simulator.aws.sqs.delivery import Chances, Delivery, Time
from simulator.aws.sqs.queues import (
    MIB,
    NO_TAGS,
    BadAttribute,
    Message,
    Queue,
    Settings,
    settings_of,
)

MOST_RECEIVED: Final = 10
MOST_WAIT_SECONDS: Final = 20
MOST_BATCH: Final = 10
MOST_ATTRIBUTES: Final = 10
DELETED_SECONDS: Final = 60
"""How long after its deletion the name of a queue cannot be used."""

PURGE_SECONDS: Final = 60

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ENTRY_ID: Final = _NAME
_FORBIDDEN: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Answer = dict[str, Any]


class Sqs(Delivery):
    """One account's queues in one region. Queues are named by name, URL or ARN alike."""

    calls: Mapping[str, str] = {
        "change_message_visibility": "ChangeMessageVisibility",
        "create_queue": "CreateQueue",
        "delete_message": "DeleteMessage",
        "delete_message_batch": "DeleteMessageBatch",
        "delete_queue": "DeleteQueue",
        "get_queue_attributes": "GetQueueAttributes",
        "get_queue_url": "GetQueueUrl",
        "list_queues": "ListQueues",
        "purge_queue": "PurgeQueue",
        "receive_message": "ReceiveMessage",
        "send_message": "SendMessage",
        "send_message_batch": "SendMessageBatch",
        "set_queue_attributes": "SetQueueAttributes",
    }

    def __init__(self, time: Time, chances: Chances | None = None) -> None:
        super().__init__(time, chances)
        self._deleted: deque[tuple[float, str]] = deque()
        self._purged: dict[str, float] = {}

    # ---------------------------------------------------------------------------- queues

    def create_queue(self, *, QueueName: str, Attributes: Any = None, tags: Any = None) -> Answer:  # noqa: N803
        """Make a queue; one that exists with these attributes and tags is found."""
        operation, name = "CreateQueue", QueueName
        if not _NAME.fullmatch(name):
            raise self.bad(
                operation,
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in "
                "length",
            )
        existing = self.queues.get(name)
        if existing is not None:
            in_force = existing.settings.attributes
            for attribute, value in (Attributes or {}).items():
                if in_force.get(attribute) != str(value):
                    raise self.error(
                        "QueueNameExists",
                        operation,
                        "A queue already exists with the same name and a different value for "
                        f"attribute {attribute}",
                    )
            if tags and tags != existing.tags:
                raise self.error(
                    "QueueNameExists",
                    operation,
                    "A queue already exists with the same name and a different value for tag(s)",
                )
            return self._answer(QueueUrl=self.url(name))
        self._check_deleted(name, operation)
        settings = self._settings(Attributes or {}, operation)
        self.queues[name] = Queue(name, settings, self.time.now, tags or NO_TAGS)
        return self._answer(QueueUrl=self.url(name))

    def _check_deleted(self, name: str, operation: str) -> None:
        while self._deleted and self._deleted[0][0] <= self.time.now - DELETED_SECONDS:
            self._deleted.popleft()
        if any(deleted == name for _, deleted in self._deleted):
            raise self.error(
                "QueueDeletedRecently",
                operation,
                "You must wait 60 seconds after deleting a queue before you can create another "
                "with the same name.",
            )

    def _settings(self, attributes: Any, operation: str) -> Settings:
        try:
            return settings_of(attributes)
        except BadAttribute as error:
            raise self.error(error.code, operation, str(error)) from None

    def delete_queue(self, *, QueueUrl: str) -> Answer:  # noqa: N803
        """Delete a queue and what is on it."""
        queue = self.queue(QueueUrl, "DeleteQueue")
        del self.queues[queue.name]
        self._deleted.append((self.time.now, queue.name))
        for waiter in queue.waiters or ():
            waiter.found = []
            self.time.wake(waiter.coroutine)
        queue.waiters = None
        return self._answer()

    def purge_queue(self, *, QueueUrl: str) -> Answer:  # noqa: N803
        """Delete what is on a queue; once in a minute."""
        queue = self.queue(QueueUrl, "PurgeQueue")
        if self.time.now < self._purged.get(queue.name, 0.0) + PURGE_SECONDS:
            raise self.error(
                "PurgeQueueInProgress",
                "PurgeQueue",
                f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds.",
            )
        self._purged[queue.name] = self.time.now
        for message in list(queue.messages.values()):
            queue.remove(message)
        return self._answer()

    def get_queue_url(self, *, QueueName: str) -> Answer:  # noqa: N803
        """The URL of a queue that exists."""
        return self._answer(QueueUrl=self.url(self.queue(QueueName, "GetQueueUrl").name))

    def list_queues(self, *, QueueNamePrefix: str = "") -> Answer:  # noqa: N803
        """The URLs of the queues whose names begin so."""
        urls = [self.url(name) for name in sorted(self.queues) if name.startswith(QueueNamePrefix)]
        return self._answer(QueueUrls=urls[:1000]) if urls else self._answer()

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: Any = ()) -> Answer:  # noqa: N803
        """Settings and approximate counts, as texts."""
        queue = self.queue(QueueUrl, "GetQueueAttributes")
        visible, hidden, delayed = queue.counts(self.time.now)
        known = {
            **queue.settings.attributes,
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(hidden),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
            "CreatedTimestamp": str(int(queue.created_at)),
            "LastModifiedTimestamp": str(int(queue.created_at)),
            "QueueArn": self.arn(queue.name),
        }
        wanted = known if "All" in AttributeNames else AttributeNames
        return self._answer(Attributes={name: known[name] for name in wanted if name in known})

    def set_queue_attributes(self, *, QueueUrl: str, Attributes: Any) -> Answer:  # noqa: N803
        """Change some attributes; the others stay."""
        queue = self.queue(QueueUrl, "SetQueueAttributes")
        changed = {**dict(queue.settings.given), **Attributes}
        queue.settings = self._settings(changed, "SetQueueAttributes")
        return self._answer()

    # --------------------------------------------------------------------------- sending

    def send_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MessageBody: str,  # noqa: N803
        DelaySeconds: int | None = None,  # noqa: N803
        MessageAttributes: Any = None,  # noqa: N803
    ) -> Answer:
        """Put a message on a queue."""
        operation = "SendMessage"
        queue = self.queue(QueueUrl, operation)
        attributes = MessageAttributes or {}
        self._check(queue, MessageBody, attributes, DelaySeconds, operation)
        return self._answer(**self._accept(queue, MessageBody, attributes, DelaySeconds))

    def _check(
        self, queue: Queue, body: str, attributes: Any, delay: int | None, operation: str
    ) -> None:
        if not body:
            raise self.error(
                "MissingParameter", operation, "The request must contain the parameter MessageBody."
            )
        if _size(body, attributes) > queue.settings.largest:
            raise self.bad(
                operation,
                "One or more parameters are invalid. Reason: Message must be shorter than "
                f"{queue.settings.largest} bytes.",
            )
        if not body.isprintable() and _FORBIDDEN.search(body):
            raise self.error(
                "InvalidMessageContents", operation, "Invalid characters found in the message."
            )
        if delay is not None and not 0 <= delay <= 900:
            raise self.bad(
                operation,
                f"Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must "
                "be >= 0 and <= 900.",
            )
        if len(attributes) > MOST_ATTRIBUTES:
            raise self.bad(
                operation,
                f"Number of message attributes [{len(attributes)}] exceeds the allowed "
                f"maximum [{MOST_ATTRIBUTES}].",
            )

    def _accept(self, queue: Queue, body: str, attributes: Any, delay: int | None) -> Answer:
        seconds = queue.settings.delay if delay is None else delay
        message = self.new(body, attributes)
        for watch in self.watchers:
            watch(queue.name, message)
        for copy, late in enumerate(self.chances.transit(queue.name, message)):
            if copy:
                message = self.copy(message)
            self.arrive(queue, message, seconds + late)
        return {"MessageId": message.id, "MD5OfMessageBody": message.digest}

    def send_message_batch(self, *, QueueUrl: str, Entries: Any) -> Answer:  # noqa: N803
        """Send up to ten messages; each succeeds or fails by itself."""
        operation = "SendMessageBatch"
        queue = self.queue(QueueUrl, operation)
        self._check_batch(Entries, operation)
        sizes = [
            _size(each["MessageBody"], each.get("MessageAttributes") or {}) for each in Entries
        ]
        if sum(sizes) > MIB:
            raise self.error(
                "BatchRequestTooLong",
                operation,
                f"Batch requests cannot be longer than {MIB} bytes. You have sent {sum(sizes)} "
                "bytes.",
            )

        def send(entry: Any) -> Answer:
            attributes = entry.get("MessageAttributes") or {}
            delay = entry.get("DelaySeconds")
            self._check(queue, entry["MessageBody"], attributes, delay, operation)
            return self._accept(queue, entry["MessageBody"], attributes, delay)

        return self._each(Entries, send)

    def _check_batch(self, entries: Any, operation: str) -> None:
        ids = [entry["Id"] for entry in entries]
        if not ids:
            raise self.error(
                "EmptyBatchRequest", operation, "There should be at least one entry in the request."
            )
        if len(ids) > MOST_BATCH:
            raise self.error(
                "TooManyEntriesInBatchRequest",
                operation,
                f"Maximum number of entries per request are {MOST_BATCH}. You have sent "
                f"{len(ids)}.",
            )
        if not all(_ENTRY_ID.fullmatch(each) for each in ids):
            raise self.error(
                "InvalidBatchEntryId",
                operation,
                "A batch entry id can only contain alphanumeric characters, hyphens and "
                "underscores. It can be at most 80 letters long.",
            )
        if len(set(ids)) != len(ids):
            raise self.error("BatchEntryIdsNotDistinct", operation, "Id repeated.")

    def _each(self, entries: Any, function: Callable[[Any], Answer]) -> Answer:
        succeeded: list[Answer] = []
        failed: list[Answer] = []
        for entry in entries:
            try:
                succeeded.append({"Id": entry["Id"], **function(entry)})
            except self.exceptions.ClientError as error:
                described = error.response["Error"]
                failed.append(
                    {
                        "Id": entry["Id"],
                        "SenderFault": True,
                        "Code": described["Code"],
                        "Message": described["Message"],
                    }
                )
        answer = self._answer(Successful=succeeded) if succeeded else self._answer()
        return {**answer, "Failed": failed} if failed else answer

    # ------------------------------------------------------------------------- receiving

    def receive_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MaxNumberOfMessages: int = 1,  # noqa: N803
        WaitTimeSeconds: int | None = None,  # noqa: N803
        VisibilityTimeout: int | None = None,  # noqa: N803
        AttributeNames: Sequence[str] = (),  # noqa: N803
        MessageSystemAttributeNames: Sequence[str] = (),  # noqa: N803
        MessageAttributeNames: Sequence[str] = (),  # noqa: N803
    ) -> Answer:
        """Receive, after a long poll if asked for: the coroutine sleeps until an arrival."""
        operation = "ReceiveMessage"
        queue = self.queue(QueueUrl, operation)
        wait = queue.settings.wait if WaitTimeSeconds is None else WaitTimeSeconds
        self._between(operation, "MaxNumberOfMessages", MaxNumberOfMessages, 1, MOST_RECEIVED)
        self._between(operation, "WaitTimeSeconds", wait, 0, MOST_WAIT_SECONDS)
        if VisibilityTimeout is not None:
            self._between(operation, "VisibilityTimeout", VisibilityTimeout, 0, 43_200)
        found = self.receive(queue, MaxNumberOfMessages, VisibilityTimeout)
        if not found and wait and self.time.current is not None:
            found = self.long_poll(queue, MaxNumberOfMessages, VisibilityTimeout, wait)
        if not found:
            return self._answer()
        system = (*AttributeNames, *MessageSystemAttributeNames)
        return self._answer(
            Messages=[_received(message, system, MessageAttributeNames) for message in found]
        )

    def _between(self, operation: str, name: str, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            raise self.bad(
                operation,
                f"Value {value} for parameter {name} is invalid. Reason: Must be >= {low} and <= "
                f"{high}, if provided.",
            )

    # -------------------------------------------------------------------------- settling

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> Answer:  # noqa: N803
        """Delete what was received; what is gone already is fine."""
        self.delete(self.queue(QueueUrl, "DeleteMessage"), ReceiptHandle, "DeleteMessage")
        return self._answer()

    def delete_message_batch(self, *, QueueUrl: str, Entries: Any) -> Answer:  # noqa: N803
        """Delete up to ten messages; each succeeds or fails by itself."""
        operation = "DeleteMessageBatch"
        queue = self.queue(QueueUrl, operation)
        self._check_batch(Entries, operation)
        return self._each(
            Entries, lambda entry: self.delete(queue, entry["ReceiptHandle"], operation)
        )

    def change_message_visibility(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
    ) -> Answer:
        """Set for how long from now a message in flight stays hidden."""
        operation = "ChangeMessageVisibility"
        queue = self.queue(QueueUrl, operation)
        self._between(operation, "VisibilityTimeout", VisibilityTimeout, 0, 43_200)
        message, last = self.by_receipt(queue, ReceiptHandle, operation)
        if message is None:
            raise self.bad(
                operation,
                f"Value {ReceiptHandle} for parameter ReceiptHandle is invalid. Reason: Message "
                "does not exist or is not available for visibility timeout change.",
            )
        if not last or message.visible_at <= self.time.now:
            raise self.error(
                "MessageNotInflight", operation, "The message referred to is not in flight."
            )
        queue.show(message, self.time.now + VisibilityTimeout)
        self.notice(queue)
        return self._answer()

    def _answer(self, **content: Any) -> Answer:
        headers = {"date": _date(int(self.time.now))}
        return {**content, "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": headers}}


@lru_cache(maxsize=64)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def _size(body: str, attributes: Any) -> int:
    total = len(body) if body.isascii() else len(body.encode())
    for name, each in attributes.items():
        value = each.get("StringValue", each.get("BinaryValue", ""))
        content = value if isinstance(value, bytes) else value.encode()
        total += len(name.encode()) + len(each["DataType"]) + len(content)
    return total


def _received(message: Message, system: Sequence[str], wanted: Sequence[str]) -> Answer:
    answer: Answer = {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": message.digest,
        "Body": message.body,
    }
    if system:
        known = message.system_attributes()
        names = known if "All" in system else system
        answer["Attributes"] = {name: known[name] for name in names if name in known}
    matching = {
        name: dict(each)
        for name, each in message.attributes.items()
        if any(_matches(name, pattern) for pattern in wanted)
    }
    if matching:
        answer["MessageAttributes"] = matching
    return answer


def _matches(name: str, pattern: str) -> bool:
    if pattern in ("All", ".*"):
        return True
    return name.startswith(pattern[:-2]) if pattern.endswith(".*") else name == pattern
