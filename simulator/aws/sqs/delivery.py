"""How messages travel: transit, receives, dead letters, and whoever waits for an arrival.

Those that poll without a client (event source mappings, idle guests) come in here: `take`, `settle`
and `on_arrival`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from botocore.exceptions import ClientError

from simulator.aws.errors import Exceptions
from simulator.aws.sqs.queues import MOST_IN_FLIGHT, Message, Pick, Queue
from simulator.kernel import Coroutine

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"


class Time(Protocol):
    """What a queue needs of the kernel."""

    current: Coroutine | None

    @property
    def now(self) -> float: ...

    def call_at(self, when: float, function: Callable[..., None], *args: Any) -> None: ...
    def suspend(self) -> Coroutine: ...
    def wake(self, coroutine: Coroutine, after: float = 0.0) -> None: ...


class Chances:
    """What a run decides for the messages; by default each arrives once, at once."""

    pick: Pick | None = None
    """Which receivable message is next; None is the oldest."""

    def transit(self, queue: str, message: Message) -> Sequence[float]:
        """After how many seconds a sent message arrives, once for each copy; () loses it."""
        return (0.0,)

    def stale_receipt_deletes(self, queue: str) -> bool:
        """Whether a receipt handle that is not the last one still deletes ("might not")."""
        return False


class _Waiter:
    """A long poll under way."""

    __slots__ = ("coroutine", "found", "most", "visibility")

    def __init__(self, coroutine: Coroutine, most: int, visibility: float | None) -> None:
        self.coroutine = coroutine
        self.most = most
        self.visibility = visibility
        self.found: list[Message] | None = None


class Delivery:
    """The queues of one account in one region, and the messages between them."""

    exceptions = Exceptions(
        BatchEntryIdsNotDistinct="AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        BatchRequestTooLong="AWS.SimpleQueueService.BatchRequestTooLong",
        EmptyBatchRequest="AWS.SimpleQueueService.EmptyBatchRequest",
        InvalidAttributeName="InvalidAttributeName",
        InvalidAttributeValue="InvalidAttributeValue",
        InvalidBatchEntryId="AWS.SimpleQueueService.InvalidBatchEntryId",
        InvalidMessageContents="InvalidMessageContents",
        InvalidParameterValue="InvalidParameterValue",
        MessageNotInflight="AWS.SimpleQueueService.MessageNotInflight",
        MissingParameter="MissingParameter",
        OverLimit="OverLimit",
        PurgeQueueInProgress="AWS.SimpleQueueService.PurgeQueueInProgress",
        QueueDeletedRecently="AWS.SimpleQueueService.QueueDeletedRecently",
        QueueDoesNotExist="AWS.SimpleQueueService.NonExistentQueue",
        QueueNameExists="QueueAlreadyExists",
        ReceiptHandleIsInvalid="ReceiptHandleIsInvalid",
        TooManyEntriesInBatchRequest="AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    )

    def __init__(self, time: Time, chances: Chances | None = None) -> None:
        self.time = time
        self.chances = chances or Chances()
        self.queues: dict[str, Queue] = {}
        self.watchers: list[Callable[[str, Message], None]] = []
        """Called with each message that was accepted, before its transit."""
        self._number = 0

    def url(self, name: str) -> str:
        """The URL of a queue of that name."""
        return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"

    def arn(self, name: str) -> str:
        """The ARN of a queue of that name."""
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def queue(self, where: str, operation: str) -> Queue:
        """The queue of a request."""
        found = self.queues.get(name_of(where))
        if found is None:
            raise self.error("QueueDoesNotExist", operation, "The specified queue does not exist.")
        return found

    def new(self, body: str, attributes: Any) -> Message:
        self._number += 1
        digits = f"{self._number:032x}"
        name = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        return Message(self._number, name, body, attributes, self.time.now)

    def copy(self, message: Message) -> Message:
        self._number += 1
        copy = Message(self._number, message.id, message.body, message.attributes, self.time.now)
        copy.sent_at = message.sent_at
        return copy

    def arrive(self, queue: Queue, message: Message, seconds: float) -> None:
        queue.put(message, self.time.now + seconds)
        self.notice(queue)

    def receive(self, queue: Queue, most: int, visibility: float | None) -> list[Message]:
        """Take messages that are visible and hide them."""
        now = self.time.now
        hidden = queue.settings.visibility if visibility is None else visibility
        if len(queue.messages) > MOST_IN_FLIGHT and queue.counts(now)[1] >= MOST_IN_FLIGHT:
            raise self.error("OverLimit", "ReceiveMessage", "Too many messages in flight.")
        found: list[Message] = []
        while len(found) < most:
            message = queue.next(now, self.chances.pick)
            if message is None:
                break
            if self._redriven(queue, message):
                continue
            message.receives += 1
            message.first_received_at = message.first_received_at or now
            found.append(message)
        for message in found:
            queue.show(message, now + hidden)
        self._set_alarm(queue)
        return found

    def _redriven(self, queue: Queue, message: Message) -> bool:
        """Move a message to the dead letters when it was received too often."""
        settings = queue.settings
        if settings.dead_letters is None or message.receives < settings.most_receives:
            return False
        target = self.queues.get(name_of(settings.dead_letters))
        if target is None:
            return False
        queue.remove(message)
        moved = self.copy(message)
        moved.receives = message.receives
        moved.first_received_at = message.first_received_at
        self.arrive(target, moved, 0.0)
        return True

    def long_poll(
        self, queue: Queue, most: int, visibility: float | None, wait: float
    ) -> list[Message]:
        current = self.time.current
        assert current is not None, "only a coroutine can wait"
        waiter = _Waiter(current, most, visibility)
        queue.waiters = [*(queue.waiters or ()), waiter]
        self._set_alarm(queue)
        self.time.call_at(self.time.now + wait, self._give_up, queue, waiter)
        self.time.suspend()
        return waiter.found or []

    def _give_up(self, queue: Queue, waiter: _Waiter) -> None:
        if waiter.found is None:
            waiter.found = []
            if queue.waiters and waiter in queue.waiters:
                queue.waiters.remove(waiter)
            self.time.wake(waiter.coroutine)

    def delete(self, queue: Queue, receipt: str, operation: str) -> dict[str, Any]:
        message, last = self.by_receipt(queue, receipt, operation)
        if message is not None and (last or self.chances.stale_receipt_deletes(queue.name)):
            queue.remove(message)
        return {}

    def by_receipt(self, queue: Queue, receipt: str, operation: str) -> tuple[Message | None, bool]:
        try:
            return queue.by_receipt(receipt)
        except ValueError:
            raise self.error(
                "ReceiptHandleIsInvalid",
                operation,
                f'The input receipt handle "{receipt}" is not a valid receipt handle.',
            ) from None

    # -------------------------------------------------------------------- without a client

    def take(self, queue_name: str, most: int) -> list[dict[str, Any]]:
        """Receive as a mapping does: records of a Lambda event; none when the queue is gone."""
        queue = self.queues.get(name_of(queue_name))
        if queue is None:
            return []
        return [self.record(queue.name, message) for message in self.receive(queue, most, None)]

    def settle(self, queue_name: str, receipts: Sequence[str]) -> None:
        """Delete what was handled; a queue that is gone is fine."""
        queue = self.queues.get(name_of(queue_name))
        for receipt in receipts if queue else ():
            assert queue is not None
            self.delete(queue, receipt, "DeleteMessageBatch")

    def on_arrival(self, queue_name: str, callback: Callable[[], None]) -> None:
        """Have a callback whenever a message becomes visible; it takes until none is left."""
        queue = self.queue(queue_name, "ReceiveMessage")
        queue.arrivals = (*queue.arrivals, callback)
        self.notice(queue)

    def records(self, queue_name: str) -> list[dict[str, Any]]:
        """What lies on a queue, visible or not, for checks; not a call."""
        queue = self.queue(queue_name, "ReceiveMessage")
        return [self.record(queue.name, message) for message in queue.messages.values()]

    def visibility_seconds(self, queue_name: str) -> float:
        """How long what was taken stays hidden."""
        return self.queue(queue_name, "GetQueueAttributes").settings.visibility

    def record(self, queue_name: str, message: Message) -> dict[str, Any]:
        """A message as a Lambda event has it."""
        return {
            "messageId": message.id,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": message.system_attributes(),
            "messageAttributes": {name: _lower(each) for name, each in message.attributes.items()},
            "md5OfBody": message.digest,
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn(queue_name),
            "awsRegion": REGION,
        }

    # ----------------------------------------------------------------------------- faults

    def duplicate(self, queue_name: str, message: Message, seconds: float = 0.0) -> None:
        """Let a copy of a message arrive later, even after the message was deleted."""
        queue = self.queues.get(name_of(queue_name))
        if queue is not None:
            self.arrive(queue, self.copy(message), seconds)

    def delay(self, queue_name: str, message: Message, seconds: float) -> None:
        """Hide a message that waits to be received for that long."""
        queue = self.queues.get(name_of(queue_name))
        if queue is not None and not message.gone:
            queue.show(message, self.time.now + seconds)
            self._set_alarm(queue)

    def give_up(self, queue_name: str, message: Message, seconds: float) -> None:
        """Let a copy of a message arrive on the dead letters of its queue, received in vain as
        often as the queue allows."""
        queue = self.queues.get(name_of(queue_name))
        if queue is None or queue.settings.dead_letters is None:
            return
        target = self.queues.get(name_of(queue.settings.dead_letters))
        if target is not None:
            moved = self.copy(message)
            moved.receives = queue.settings.most_receives
            self.arrive(target, moved, seconds)

    def drop(self, queue_name: str, message: Message) -> None:
        """Lose a message."""
        queue = self.queues.get(name_of(queue_name))
        if queue is not None:
            queue.remove(message)

    # ---------------------------------------------------------------------------- arrivals

    def notice(self, queue: Queue) -> None:
        """Serve whoever waits, soon and once, if a message is visible; else when one will be."""
        if queue.noticed or not (queue.waiters or queue.arrivals):
            return
        due = queue.next_visible(self.time.now)
        if due is not None and due <= self.time.now:
            queue.noticed = True
            self.time.call_at(self.time.now, self._serve, queue)
        else:
            self._set_alarm(queue)

    def _serve(self, queue: Queue) -> None:
        queue.noticed = False
        while queue.waiters:
            waiter = queue.waiters[0]
            if not (waiter.coroutine.killed or waiter.coroutine.ended):
                found = self.receive(queue, waiter.most, waiter.visibility)
                if not found:
                    break
                waiter.found = found
                self.time.wake(waiter.coroutine)
            queue.waiters.pop(0)
        due = queue.next_visible(self.time.now)
        if due is not None and due <= self.time.now:
            for callback in queue.arrivals:
                callback()
        self._set_alarm(queue)

    def _set_alarm(self, queue: Queue) -> None:
        """Look again when the next hidden message becomes visible, if anybody waits."""
        if not (queue.waiters or queue.arrivals):
            return
        due = queue.next_visible(self.time.now)
        if due is None or due <= self.time.now:
            return
        if queue.alarm_at is None or due < queue.alarm_at:
            queue.alarm_at = due
            self.time.call_at(due, self._ring, queue, due)

    def _ring(self, queue: Queue, when: float) -> None:
        if queue.alarm_at == when and self.queues.get(queue.name) is queue:
            queue.alarm_at = None
            self._serve(queue)

    def error(self, name: str, operation: str, message: str) -> ClientError:
        return self.exceptions.make(name, operation, message)

    def bad(self, operation: str, message: str) -> ClientError:
        return self.error("InvalidParameterValue", operation, message)


def name_of(where: str) -> str:
    """The name of a queue that is given by name, URL or ARN."""
    return where.rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _lower(attribute: Any) -> dict[str, Any]:
    return {f"{name[0].lower()}{name[1:]}": value for name, value in attribute.items()}
