"""Queues in virtual time: waiting, coming back, dead letters, and what a run does to messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from simulator.aws.client import Client
from simulator.aws.sqs.delivery import Chances
from simulator.aws.sqs.queues import Message
from simulator.aws.sqs.service import Sqs
from simulator.effects import Effects
from simulator.kernel import START, Kernel

NAME = "queue"


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(1)


@pytest.fixture
def sqs(kernel: Kernel) -> Sqs:
    made = Sqs(kernel)
    made.create_queue(QueueName=NAME, Attributes={"VisibilityTimeout": "20"})
    return made


def receive(sqs: Sqs, seconds: int = 0, most: int = 10) -> list[Any]:
    answer = sqs.receive_message(
        QueueUrl=NAME, MaxNumberOfMessages=most, WaitTimeSeconds=seconds, AttributeNames=["All"]
    )
    return list(answer.get("Messages", ()))


def bodies(sqs: Sqs, seconds: int = 0) -> list[str]:
    return [message["Body"] for message in receive(sqs, seconds)]


def send(sqs: Sqs, body: str) -> None:
    sqs.send_message(QueueUrl=NAME, MessageBody=body)


def poll(kernel: Kernel, sqs: Sqs, seconds: int) -> list[tuple[float, list[str]]]:
    """A long poll in a coroutine; the list gets when it ended and with what."""
    ended: list[tuple[float, list[str]]] = []
    kernel.spawn(lambda: ended.append((0.0, bodies(sqs, seconds))), "poll")
    kernel.spawn(lambda: None, "first")
    return ended


def code(function: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        function()
    error: Any = caught.value
    return str(error.response["Error"]["Code"])


def test_a_long_poll_ends_with_the_arrival(kernel: Kernel, sqs: Sqs) -> None:
    ended = poll(kernel, sqs, 20)
    kernel.call_later(5, send, sqs, "a")
    kernel.run(START + 4.9)
    assert ended == []
    kernel.run(START + 5)
    assert ended == [(0.0, ["a"])]


def test_a_long_poll_without_an_arrival_is_two_events(kernel: Kernel, sqs: Sqs) -> None:
    ended = poll(kernel, sqs, 20)
    kernel.run(START + 1)
    before = kernel.events
    kernel.run(START + 19.9)
    assert (ended, kernel.events) == ([], before)
    kernel.run(START + 20)
    assert ended == [(0.0, [])]
    assert kernel.events == before + 2


def test_a_message_is_not_handed_to_a_dead_poller(kernel: Kernel, sqs: Sqs) -> None:
    dead = kernel.spawn(lambda: receive(sqs, 20), "dead")
    alive = poll(kernel, sqs, 20)
    kernel.run(START + 1)
    kernel.kill(dead)
    sqs.send_message(QueueUrl=NAME, MessageBody="a")
    kernel.run(START + 2)
    assert alive == [(0.0, ["a"])]


def test_a_hidden_message_wakes_a_poller_when_it_comes_back(kernel: Kernel, sqs: Sqs) -> None:
    sqs.send_message(QueueUrl=NAME, MessageBody="a")
    assert bodies(sqs) == ["a"]
    kernel.run(START + 10)
    ended = poll(kernel, sqs, 15)
    kernel.run(START + 19.9)
    assert ended == []
    kernel.run(START + 20)
    assert ended == [(0.0, ["a"])]


def test_the_end_of_a_queue_ends_its_polls(kernel: Kernel, sqs: Sqs) -> None:
    ended = poll(kernel, sqs, 20)
    kernel.run(START + 1)
    sqs.delete_queue(QueueUrl=NAME)
    kernel.run(START + 2)
    assert ended == [(0.0, [])]
    assert code(lambda: receive(sqs)) == "AWS.SimpleQueueService.NonExistentQueue"


def test_a_name_is_free_a_minute_after_the_deletion(kernel: Kernel, sqs: Sqs) -> None:
    sqs.delete_queue(QueueUrl=NAME)
    kernel.run(START + 59.9)
    refused = code(lambda: sqs.create_queue(QueueName=NAME))
    assert refused == "AWS.SimpleQueueService.QueueDeletedRecently"
    kernel.run(START + 60)
    sqs.create_queue(QueueName=NAME)


def test_visibility_can_be_extended_and_given_back(kernel: Kernel, sqs: Sqs) -> None:
    sqs.send_message(QueueUrl=NAME, MessageBody="a")
    (message,) = receive(sqs)
    handle = message["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=NAME, ReceiptHandle=handle, VisibilityTimeout=100)
    kernel.run(START + 99)
    assert receive(sqs) == []
    sqs.change_message_visibility(QueueUrl=NAME, ReceiptHandle=handle, VisibilityTimeout=0)
    (again,) = receive(sqs)
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    sqs.delete_message(QueueUrl=NAME, ReceiptHandle=handle)  # "might not": here it does not
    kernel.run(START + 200)
    assert bodies(sqs) == ["a"]


def test_a_message_that_fails_too_often_is_a_dead_letter(kernel: Kernel, sqs: Sqs) -> None:
    sqs.create_queue(QueueName="dead")
    policy = json.dumps({"deadLetterTargetArn": sqs.arn("dead"), "maxReceiveCount": 2})
    sqs.set_queue_attributes(QueueUrl=NAME, Attributes={"RedrivePolicy": policy})
    sqs.send_message(QueueUrl=NAME, MessageBody="a")
    for _ in range(2):
        assert bodies(sqs) == ["a"]
        kernel.run(kernel.now + 20)
    assert bodies(sqs) == []
    assert [record["body"] for record in sqs.take("dead", 10)] == ["a"]


def test_retention_and_delay_are_kept(kernel: Kernel, sqs: Sqs) -> None:
    sqs.set_queue_attributes(QueueUrl=NAME, Attributes={"MessageRetentionPeriod": "60"})
    sqs.send_message(QueueUrl=NAME, MessageBody="late", DelaySeconds=30)
    sqs.send_message(QueueUrl=NAME, MessageBody="now")
    assert bodies(sqs) == ["now"]
    kernel.run(START + 30)
    assert sorted(bodies(sqs)) == ["late", "now"]
    kernel.run(START + 60)
    assert bodies(sqs) == []


def test_a_mapping_is_told_of_arrivals_and_returns(kernel: Kernel, sqs: Sqs) -> None:
    taken: list[tuple[float, str]] = []

    def arrived() -> None:
        for record in sqs.take(NAME, 10):
            taken.append((kernel.now - START, record["attributes"]["ApproximateReceiveCount"]))
            if len(taken) == 2:
                sqs.settle(NAME, [record["receiptHandle"]])

    sqs.on_arrival(NAME, arrived)
    kernel.call_later(5, send, sqs, "a")
    kernel.run(START + 1000)
    assert taken == [(5.0, "1"), (25.0, "2")]
    assert kernel.events < 10


class Weather(Chances):
    """Transit as a test wants it."""

    def __init__(self, *copies: Sequence[float]) -> None:
        self._copies = list(copies)
        self.pick = lambda queue, visible: visible - 1

    def transit(self, queue: str, message: Message) -> Sequence[float]:
        return self._copies.pop(0)


def test_messages_are_lost_doubled_delayed_and_out_of_order(kernel: Kernel, sqs: Sqs) -> None:
    sqs.chances = Weather((), (0.0, 60.0), (5.0,), (0.0,))
    sent = [sqs.send_message(QueueUrl=NAME, MessageBody=body) for body in "abcd"]
    found = receive(sqs)
    assert [message["Body"] for message in found] == ["d", "b"]
    for message in found:
        sqs.delete_message(QueueUrl=NAME, ReceiptHandle=message["ReceiptHandle"])
    kernel.run(START + 5)
    (late,) = receive(sqs)
    assert late["Body"] == "c"
    sqs.delete_message(QueueUrl=NAME, ReceiptHandle=late["ReceiptHandle"])
    kernel.run(START + 60)
    (copy,) = receive(sqs)
    assert (copy["Body"], copy["MessageId"]) == ("b", sent[1]["MessageId"])


def test_limits_of_messages_and_batches(sqs: Sqs) -> None:
    mib = 1024 * 1024
    sqs.send_message(QueueUrl=NAME, MessageBody="x" * mib)
    too_long = code(lambda: sqs.send_message(QueueUrl=NAME, MessageBody="x" * (mib + 1)))
    assert too_long == "InvalidParameterValue"
    half = [{"Id": str(i), "MessageBody": "x" * (mib // 2 + 1)} for i in range(2)]
    batch = code(lambda: sqs.send_message_batch(QueueUrl=NAME, Entries=half))
    assert batch == "AWS.SimpleQueueService.BatchRequestTooLong"
    eleven = [{"Id": str(i), "MessageBody": "x"} for i in range(11)]
    many = code(lambda: sqs.send_message_batch(QueueUrl=NAME, Entries=eleven))
    assert many == "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
    mixed = [{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "\x00"}]
    answer = sqs.send_message_batch(QueueUrl=NAME, Entries=mixed)
    assert [each["Id"] for each in answer["Successful"]] == ["good"]
    assert [each["Code"] for each in answer["Failed"]] == ["InvalidMessageContents"]


def test_a_client_makes_every_call_an_effect(kernel: Kernel, sqs: Sqs) -> None:
    effects = Effects(kernel)
    client = Client("sqs", sqs, effects)
    kernel.spawn(lambda: client.send_message(QueueUrl=NAME, MessageBody="a"), "sender")
    kernel.run(START + 1)
    assert effects.calls == {("sender", "sqs", "SendMessage"): 1}
    assert client.receive_message(QueueUrl=NAME)["ResponseMetadata"]["HTTPHeaders"]["date"]
    with pytest.raises(client.exceptions.QueueDoesNotExist):
        client.delete_queue(QueueUrl="other")
    with pytest.raises(AttributeError):
        client.take(NAME, 1)
