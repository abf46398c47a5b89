"""Dead letters: the poisoned are recorded, the healthy go back a bounded number of times."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.bus import queues
from chalicelib.conductor import dead_letters, reports
from chalicelib.settings import settings
from tests.conductor.conftest import Built, under_newer_key
from tests.support.bare import Fault, World
from tests.support.records import counted, failed_of


def record(body: str, **attributes: Any) -> dict[str, Any]:
    return {
        "messageId": "1",
        "body": body,
        "messageAttributes": {
            name: {"stringValue": str(value), "dataType": "String"}
            for name, value in attributes.items()
        },
    }


def receive(*letters: dict[str, Any]) -> list[int]:
    """Judge a batch; the places of the letters that are to come again."""
    batch = [letter | {"messageId": str(place)} for place, letter in enumerate(letters)]
    return failed_of(dead_letters.receive({"Records": batch}))


def test_a_buried_message_is_recorded_with_its_reason_and_not_its_content(
    world: World, built: Built
) -> None:
    body = built.guest.sealed("result", "no-such-command", {"password": "pass-word"})
    reports.receive(body)
    (letter,) = world.sqs.records(settings().dead_letters_queue_url)
    receive(letter)
    (message,) = counted(world)
    assert message.startswith("EnvelopeError: a report on a command that is not known")
    assert "pass-word" not in message


TOO_LONG = '{"operation_id": "' + "x" * 1000 + '"}'
TOO_DEEP = '{"x":' + "[" * 100_000


@pytest.mark.parametrize(
    "body",
    ["", "poison", "{}", "[" * 100_000, TOO_DEEP, '{"operation_id": 7}', TOO_LONG],
    ids=["empty", "no JSON", "no hint", "deep", "too deep", "no id", "too long"],
)
def test_a_poisoned_message_without_a_reason_is_judged_and_recorded(
    world: World, body: str
) -> None:
    receive(record(body))
    assert list(counted(world).values()) == [1]
    assert all(not world.sqs.records(name) for name in world.sqs.queues)


def test_a_healthy_hint_goes_back_to_the_task_manager(world: World) -> None:
    receive(record('{"operation_id":"operation-1"}'))
    (sent,) = world.sqs.records(settings().taskmanager_queue_url)
    assert sent["body"] == '{"operation_id":"operation-1"}'
    assert queues.attribute(sent, queues.REDRIVES) == "1"
    assert counted(world) == {}


def test_a_healthy_report_goes_back_to_the_conductor(world: World, built: Built) -> None:
    body = built.guest.sealed("result", "command-1", {})
    receive(record(body))
    (sent,) = world.sqs.records(settings().conductor_queue_url)
    assert sent["body"] == body


def test_a_report_that_expired_meanwhile_is_recorded(world: World, built: Built) -> None:
    body = built.guest.sealed("result", "command-1", {})
    world.run(4000)
    receive(record(body))
    (message,) = counted(world)
    assert message.startswith("Expired")


def test_a_healthy_message_is_sent_back_three_times_at_most(world: World, built: Built) -> None:
    letter = record(built.guest.sealed("result", "command-1", {}))
    url = settings().conductor_queue_url
    for _ in range(dead_letters.MOST_REDRIVES):
        receive(letter)
        (letter,) = world.sqs.records(url)
        world.sqs.purge_queue(QueueUrl=url)
        world.run(60)  # SQS purges a queue once a minute
    receive(letter)
    assert world.sqs.records(url) == []
    (message,) = counted(world)
    assert message.startswith("NotAccepted: not accepted after 3 redrives")


@pytest.mark.parametrize("text", ["x", "-1", "", "9" * 5000, "\u0663"])
def test_a_count_that_a_guest_made_up_does_not_stop_the_handler(
    world: World, built: Built, text: str
) -> None:
    body = built.guest.sealed("result", "command-1", {})
    assert receive(record(body, redrives=text)) == []


def test_what_could_not_be_counted_stays_on_the_queue(world: World) -> None:
    hint = record('{"operation_id":"operation-1"}')
    world.faults[len(world.log) + 2] = Fault.REFUSED
    assert receive(record("poison"), hint) == [0]
    assert len(world.sqs.records(settings().taskmanager_queue_url)) == 1


def test_a_reason_that_a_guest_made_up_makes_no_row_of_its_own(world: World) -> None:
    receive(*(record("poison", reason=f"reason {number}") for number in range(100)))
    assert list(counted(world).values()) == [100]


def test_a_report_under_a_key_that_is_not_known_yet_goes_back_so_often_and_no_more(
    world: World, built: Built
) -> None:
    newer = under_newer_key(world, built, "result", "any", {})
    receive(record(newer))
    (sent,) = world.sqs.records(settings().conductor_queue_url)
    assert sent["body"] == newer
    receive(record(newer, redrives=dead_letters.MOST_REDRIVES))
    assert list(counted(world).values()) == [1]
