"""Dead letters: the poisoned are recorded, the healthy go back a bounded number of times."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import batch
from chalicelib.bus import queues
from chalicelib.conductor import dead_letters, reports
from chalicelib.settings import settings
from chalicelib.store import events
from tests.conductor.conftest import Built
from tests.support.world import World


def record(body: str, **attributes: Any) -> dict[str, Any]:
    return {
        "messageId": "1",
        "body": body,
        "messageAttributes": {
            name: {"stringValue": str(value), "dataType": "String"}
            for name, value in attributes.items()
        },
    }


def recorded() -> list[str]:
    return [row.message for row in events.events_of(events.BUS)]


def test_a_buried_message_is_recorded_with_its_reason_and_not_its_content(
    world: World, built: Built
) -> None:
    body = built.guest.sealed("result", "no-such-command", {"password": "pass-word"})
    reports.receive(body)
    (letter,) = world.sqs.records(settings().dead_letters_queue_url)
    dead_letters.receive(letter)
    (message,) = recorded()
    assert message.startswith("EnvelopeError: a report on a command that is not known")
    assert "pass-word" not in message


TOO_LONG = '{"operation_id": "' + "x" * 1000 + '"}'


@pytest.mark.parametrize(
    "body", ["", "poison", "{}", "[" * 100_000, '{"operation_id": 7}', TOO_LONG]
)
def test_a_poisoned_message_without_a_reason_is_judged_and_recorded(
    world: World, body: str
) -> None:
    dead_letters.receive(record(body))
    assert len(recorded()) == 1
    assert all(not world.sqs.records(name) for name in world.sqs.queues)


def test_a_healthy_hint_goes_back_to_the_task_manager(world: World) -> None:
    dead_letters.receive(record('{"operation_id":"operation-1"}'))
    (sent,) = world.sqs.records(settings().taskmanager_queue_url)
    assert sent["body"] == '{"operation_id":"operation-1"}'
    assert queues.attribute(sent, queues.REDRIVES) == "1"
    assert recorded() == []


def test_a_healthy_report_goes_back_to_the_conductor(world: World, built: Built) -> None:
    body = built.guest.sealed("result", "command-1", {})
    dead_letters.receive(record(body))
    (sent,) = world.sqs.records(settings().conductor_queue_url)
    assert sent["body"] == body


def test_a_report_that_expired_meanwhile_is_recorded(world: World, built: Built) -> None:
    body = built.guest.sealed("result", "command-1", {})
    world.now += 4000
    dead_letters.receive(record(body))
    assert recorded()[0].startswith("Expired")


def test_a_healthy_message_is_sent_back_three_times_at_most(world: World, built: Built) -> None:
    letter = record(built.guest.sealed("result", "command-1", {}))
    url = settings().conductor_queue_url
    for _ in range(dead_letters.MOST_REDRIVES):
        dead_letters.receive(letter)
        (letter,) = world.sqs.records(url)
        world.sqs.purge_queue(QueueUrl=url)
        world.now += 60  # SQS purges a queue once a minute
    dead_letters.receive(letter)
    assert world.sqs.records(url) == []
    assert recorded()[0].startswith("not accepted after 3 redrives")


@pytest.mark.parametrize("text", ["x", "-1", "", "9" * 5000, "\u0663"])
def test_a_count_that_a_guest_made_up_does_not_stop_the_handler(
    world: World, built: Built, text: str
) -> None:
    body = built.guest.sealed("result", "command-1", {})
    answer = batch.each({"Records": [record(body, redrives=text)]}, dead_letters.receive)
    assert answer == {"batchItemFailures": []}
