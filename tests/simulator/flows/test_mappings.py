"""Queues to functions: batches, partial failures, throttling, scaling, and silence when idle."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from simulator.aws.lambda_ import Fate, Function, Lambda
from simulator.aws.mappings import Mapping, reported
from simulator.aws.sqs.service import Sqs
from simulator.kernel import Kernel

VISIBILITY = 30.0


class Bus:
    """A queue with a dead-letter queue, mapped to a function that is told what to do by bodies."""

    def __init__(self, *, concurrency: int | None = None, **options: Any) -> None:
        self.kernel = Kernel(1)
        self.lambda_ = Lambda(self.kernel)
        self.sqs = Sqs(self.kernel)
        self.url = self._queue("work", maxReceiveCount=3, deadLetterTargetArn=self._dead())
        self.seen: Counter[str] = Counter()
        self.batches: list[list[str]] = []
        self.answer: Any = None
        self.seconds = 0.1
        self.lambda_.add(
            Function("f", lambda: self._handle, timeout_seconds=20.0, concurrency=concurrency)
        )
        self.mapping = Mapping(self.kernel, self.lambda_, self.sqs, "work", "f", **options)

    def _dead(self) -> str:
        self.sqs.create_queue(QueueName="dead")
        return self.sqs.arn("dead")

    def _queue(self, name: str, **redrive: Any) -> str:
        attributes = {
            "VisibilityTimeout": str(int(VISIBILITY)),
            "RedrivePolicy": json.dumps(redrive),
        }
        return str(self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def _handle(self, event: Any, _: object) -> Any:
        bodies = [record["body"] for record in event["Records"]]
        self.batches.append(bodies)
        self.seen.update(bodies)
        self.kernel.sleep(self.seconds)
        if "crash" in bodies:
            raise RuntimeError("as the body says")
        if self.answer is not None:
            return self.answer
        return {
            "batchItemFailures": [
                {"itemIdentifier": record["messageId"]}
                for record in event["Records"]
                if record["body"].startswith("bad")
            ]
        }

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def run(self, seconds: float) -> None:
        self.kernel.run(self.kernel.now + seconds)

    def left(self, name: str = "work") -> list[str]:
        return sorted(record["body"] for record in self.sqs.records(name))


def test_messages_come_in_batches_and_are_deleted() -> None:
    bus = Bus()
    bus.send(*(str(number) for number in range(25)))
    bus.run(5)
    assert [len(batch) for batch in bus.batches] == [10, 10, 5]
    assert set(bus.seen.values()) == {1}
    assert bus.left() == []
    assert (bus.mapping.handled, bus.mapping.failed) == (25, 0)


def test_an_idle_mapping_costs_no_event() -> None:
    bus = Bus()
    bus.send("1")
    bus.run(100)
    events = bus.kernel.events
    bus.run(30 * 86400)
    assert bus.kernel.events == events
    assert bus.mapping.idle_receives(3600) == 900
    bus.send("2")
    bus.run(1)
    assert bus.seen["2"] == 1


def test_only_what_failed_comes_back_until_it_is_a_dead_letter() -> None:
    bus = Bus()
    bus.send("good", "bad")
    bus.run(VISIBILITY - 1)
    assert bus.seen == {"good": 1, "bad": 1}
    assert bus.left() == ["bad"]
    bus.run(4 * VISIBILITY)
    assert bus.seen == {"good": 1, "bad": 3}
    assert (bus.left(), bus.left("dead")) == ([], ["bad"])


@pytest.mark.parametrize(
    "answer",
    [
        "text",
        [],
        {"failures": []},
        {"batchItemFailures": "all"},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"identifier": "x"}]},
        {"batchItemFailures": [{"itemIdentifier": "not in the batch"}]},
        {"batchItemFailures": ["x"]},
    ],
)
def test_a_malformed_answer_brings_the_whole_batch_back(answer: Any) -> None:
    bus = Bus()
    bus.answer = answer
    bus.send("1", "2")
    bus.run(VISIBILITY + 2)
    assert bus.seen == {"1": 2, "2": 2}


@pytest.mark.parametrize(
    "answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}]
)
def test_an_empty_answer_means_that_all_went_well(answer: Any) -> None:
    assert reported(answer, [{"messageId": "1"}]) == set()


def test_an_error_brings_the_whole_batch_back_also_without_partial_failures() -> None:
    for partial in (True, False):
        bus = Bus(partial=partial)
        bus.send("good", "crash")
        bus.run(VISIBILITY + 2)
        assert bus.seen == {"good": 2, "crash": 2}


def test_without_partial_failures_an_answer_says_nothing() -> None:
    bus = Bus(partial=False)
    bus.answer = {"batchItemFailures": [{"itemIdentifier": "x"}]}
    bus.send("1")
    bus.run(100)
    assert bus.seen == {"1": 1}


def test_a_throttled_batch_waits_and_is_handled_when_there_is_room() -> None:
    bus = Bus(concurrency=1, batch_size=1)
    bus.seconds = 4.0
    bus.send("1", "2", "3")
    bus.run(VISIBILITY - 1)
    assert set(bus.seen.values()) == {1}
    assert len(bus.seen) == 3
    assert bus.lambda_.functions["f"].throttles > 0
    assert bus.left() == []


def test_a_batch_that_stays_throttled_comes_back_with_its_visibility() -> None:
    bus = Bus()
    bus.lambda_.decide = lambda *_: Fate.THROTTLE
    bus.send("1")
    bus.run(VISIBILITY + 1)
    assert bus.seen == {}
    bus.lambda_.decide = None
    bus.run(VISIBILITY)
    assert bus.seen == {"1": 1}
    assert bus.left() == []
    assert bus.mapping.running == 0


def test_batches_in_flight_are_bounded_and_grow_while_they_are_not_enough() -> None:
    bus = Bus(batch_size=1, most_running=8)
    bus.seconds = 15.0
    bus.send(*(str(number) for number in range(100)))
    bus.run(10)
    assert bus.mapping.running == 5
    bus.run(56)
    assert bus.mapping.running == 8
    bus.run(300)
    assert bus.left() == []
    bus.send("late")
    bus.run(5)
    assert bus.mapping.pollers == 5


def test_a_window_collects_a_batch_or_ends_it() -> None:
    bus = Bus(batch_size=20, window_seconds=5.0)
    for number in range(26):
        bus.send(str(number))
        bus.run(0.2)
    bus.run(10)
    assert sum(map(len, bus.batches)) == 26
    assert len(bus.batches[0]) == 20
    assert len(bus.batches) == 2
    assert bus.left() == []


def test_a_large_batch_needs_a_window() -> None:
    with pytest.raises(ValueError, match="window"):
        Bus(batch_size=11)


def test_a_mapping_can_be_switched_off_and_on() -> None:
    bus = Bus()
    bus.mapping.enable(False)
    bus.send("1")
    bus.run(60)
    assert bus.seen == {}
    bus.mapping.enable(True)
    bus.run(1)
    assert bus.seen == {"1": 1}


def test_records_are_what_lambda_hands_over() -> None:
    bus = Bus()
    records: list[Any] = []
    bus.lambda_.add(Function("f", lambda: lambda event, _: records.extend(event["Records"])))
    bus.send("hello")
    bus.run(1)
    (record,) = records
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].endswith(":work")
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert bus.left() == []
