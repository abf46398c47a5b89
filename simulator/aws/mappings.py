"""Event source mappings: what carries the messages of a queue to a function, in batches.

A mapping sleeps until its queue tells it of an arrival, so that an idle queue costs no event; what
the real pollers spend meanwhile is arithmetic (`idle_receives`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from simulator.aws.lambda_ import Answer, Lambda
from simulator.kernel import Kernel

FIRST_POLLERS: Final = 5
"""Batches in flight that a mapping begins with."""
POLLERS_A_MINUTE: Final = 300
"""How many more it may have after each minute in which they were not enough."""
MOST_POLLERS: Final = 1250
SCALING_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02
"""From an arrival to the receive that finds it."""
LONG_POLL_SECONDS: Final = 20.0
THROTTLED_PAUSE_SECONDS: Final = (1.0, 60.0)
"""First and longest pause of a batch whose function is throttled."""


class Queues(Protocol):
    """The part of the simulated SQS that a mapping uses; none of it gives up control."""

    def take(self, queue_name: str, most: int) -> Sequence[dict[str, Any]]:
        """Receive up to `most` messages, as the records that a function is given."""

    def settle(self, queue_name: str, receipts: Sequence[str]) -> None:
        """Delete what was handled."""

    def on_arrival(self, queue_name: str, callback: Callable[[], None]) -> None:
        """Have a callback whenever a message becomes visible."""

    def visibility_seconds(self, queue_name: str) -> float:
        """How long what was taken stays hidden."""


class Mapping:
    """One event source mapping.

    `window_seconds` collects up to `batch_size` messages before an invocation begins;
    `partial` is ReportBatchItemFailures; `most_running` is the mapping's own bound on batches in
    flight (MaximumConcurrency). Messages that failed stay hidden until their visibility ends.
    """

    __slots__ = (
        "_collected",
        "_kernel",
        "_lambda",
        "_last_work",
        "_polling",
        "_queues",
        "_scaling",
        "batch_size",
        "batches",
        "doubt",
        "enabled",
        "failed",
        "function_name",
        "handled",
        "most_running",
        "partial",
        "pollers",
        "queue_name",
        "receives",
        "running",
        "window_seconds",
    )

    def __init__(
        self,
        kernel: Kernel,
        lambda_: Lambda,
        queues: Queues,
        queue_name: str,
        function_name: str,
        *,
        batch_size: int = 10,
        window_seconds: float = 0.0,
        partial: bool = True,
        most_running: int = MOST_POLLERS,
    ) -> None:
        if batch_size > 10 and window_seconds < 1:
            raise ValueError("a batch of more than 10 messages needs a window of at least 1 s")
        self._kernel = kernel
        self._lambda = lambda_
        self._queues = queues
        self.queue_name = queue_name
        self.function_name = function_name
        self.batch_size = batch_size
        self.window_seconds = window_seconds
        self.partial = partial
        self.most_running = most_running
        self.enabled = True
        self.pollers = min(FIRST_POLLERS, most_running)
        self.running = 0
        self.batches = 0
        self.handled = 0
        self.failed = 0
        self.receives = 0
        self._polling = False
        self._scaling = False
        self._last_work = kernel.now
        self._collected: list[dict[str, Any]] = []
        self.doubt: Callable[[str, list[str]], set[str]] | None = None
        """The hook of the faults: which of a batch's messages fail beside those reported."""
        queues.on_arrival(queue_name, self.wake)

    def wake(self) -> None:
        """Something may be there to receive."""
        if self._polling or not self.enabled or self.running >= self.pollers:
            return
        self._polling = True
        self._kernel.call_later(POLL_SECONDS, self._poll)

    def enable(self, enabled: bool) -> None:
        """Switch it on or off; what is in flight ends."""
        self.enabled = enabled
        if enabled:
            self.wake()

    def idle_receives(self, seconds: float) -> float:
        """How many empty receives the real pollers make in that time; they are paid for."""
        return FIRST_POLLERS * seconds / LONG_POLL_SECONDS

    # ------------------------------------------------------------------------- batches

    def _poll(self) -> None:
        """Receive until the queue is empty or every poller has a batch."""
        self._polling = False
        now = self._kernel.now
        if not self.running and now - self._last_work > SCALING_SECONDS:
            self.pollers = min(FIRST_POLLERS, self.most_running)
        self._last_work = now
        while self.enabled and self.running < self.pollers:
            wanted = self.batch_size - len(self._collected)
            records = self._queues.take(self.queue_name, min(wanted, 10))
            self.receives += 1
            if not records:
                return
            if self.window_seconds:
                self._collect(records)
            else:
                self._invoke(_Batch(self, list(records)))
        if self.enabled and self.pollers < self.most_running and not self._scaling:
            self._scaling = True
            self._kernel.call_later(SCALING_SECONDS, self._scale)

    def _scale(self) -> None:
        self._scaling = False
        if self.running >= self.pollers:
            self.pollers = min(self.pollers + POLLERS_A_MINUTE, self.most_running)
            self.wake()

    def _collect(self, records: Sequence[dict[str, Any]]) -> None:
        if not self._collected:
            self._kernel.call_later(self.window_seconds, self._close_window, self.batches)
        self._collected.extend(records)
        if len(self._collected) >= self.batch_size:
            self._close_window(self.batches)

    def _close_window(self, number: int) -> None:
        """The window of a batch is over, unless it was full before."""
        if number == self.batches and self._collected:
            records, self._collected = self._collected, []
            self._invoke(_Batch(self, records))

    def _invoke(self, batch: _Batch) -> None:
        self.running += 1
        self.batches += 1
        batch.attempt()

    def end(self, batch: _Batch, answer: Answer) -> None:
        """Settle what a batch handled, and look for more."""
        self.running -= 1
        failed = self._failures(batch, answer)
        if failed is None:
            self.failed += len(batch.records)
        else:
            handled = [
                record["receiptHandle"]
                for record in batch.records
                if not failed or record["messageId"] not in failed
            ]
            self.handled += len(handled)
            self.failed += len(batch.records) - len(handled)
            if handled:
                self._queues.settle(self.queue_name, handled)
        if not self._polling:
            self._poll()

    def _failures(self, batch: _Batch, answer: Answer) -> set[str] | None:
        """The ids of the messages that failed; None when all did."""
        if answer.error is not None:
            return None
        if not self.partial:
            return set()
        failed = reported(answer.result, batch.records)
        if failed is not None and self.doubt is not None:
            failed |= self.doubt(self.queue_name, [record["messageId"] for record in batch.records])
        return failed

    def give_up(self, batch: _Batch) -> None:
        """A batch that stayed throttled until its messages were visible again."""
        self.running -= 1
        self.failed += len(batch.records)
        self.wake()

    def hidden_until(self) -> float:
        """When what is received now becomes visible again."""
        return self._kernel.now + self._queues.visibility_seconds(self.queue_name)

    def invoke(self, batch: _Batch) -> None:
        """Hand a batch to the function."""
        event = {"Records": [dict(record) for record in batch.records]}
        self._lambda.invoke(self.function_name, event, batch.answered, "sqs")

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """On the kernel's clock."""
        self._kernel.call_later(seconds, function)

    @property
    def now(self) -> float:
        return self._kernel.now


def reported(result: Any, records: Sequence[dict[str, Any]]) -> set[str] | None:
    """The messages that an answer reports as failed; None when it fails the whole batch.

    AWS: nothing at all, an empty object, and a null or empty list mean success; anything
    malformed, a null or empty identifier, and one that is not in the batch mean failure.
    """
    if result is None:
        return set()
    if not isinstance(result, dict) or (result and "batchItemFailures" not in result):
        return None
    items = result.get("batchItemFailures") or []
    if not isinstance(items, list):
        return None
    known = {record["messageId"] for record in records} if items else set()
    failed: set[str] = set()
    for item in items:
        identifier = item.get("itemIdentifier") if isinstance(item, dict) else None
        if not isinstance(identifier, str) or identifier not in known:
            return None
        failed.add(identifier)
    return failed


class _Batch:
    """Messages on their way through one invocation."""

    __slots__ = ("_hidden_until", "_mapping", "_throttled", "records")

    def __init__(self, mapping: Mapping, records: list[dict[str, Any]]) -> None:
        self._mapping = mapping
        self._throttled = 0
        self._hidden_until = mapping.hidden_until()
        self.records = records

    def attempt(self) -> None:
        self._mapping.invoke(self)

    def answered(self, answer: Answer) -> None:
        mapping = self._mapping
        if not answer.service:
            mapping.end(self, answer)
            return
        first, longest = THROTTLED_PAUSE_SECONDS
        pause = min(first * 2.0**self._throttled, longest)
        self._throttled += 1
        if mapping.now + pause < self._hidden_until:
            mapping.later(pause, self.attempt)
        else:
            mapping.give_up(self)
