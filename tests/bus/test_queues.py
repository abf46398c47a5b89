"""Queues: names within the limits of SQS, and hints that may be lost."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from botocore.exceptions import BotoCoreError, EndpointConnectionError

from chalicelib.bus import queues
from chalicelib.settings import settings
from infra.package.template import TAGS
from tests.support.bare import Fault, World

INSTANCE = "0b0e3a6c-6a3d-4a77-8f0e-1d2f3a4b5c6d"


def test_the_name_of_a_guests_queue_fits_into_80_characters(world: World) -> None:
    assert len(queues.guest_queue_name(INSTANCE, 2**31)) <= 80


def test_the_url_of_a_guests_queue_is_the_one_it_was_made_with(world: World) -> None:
    made = queues.make_guest_queue(INSTANCE, 7)
    assert queues.guest_queue_url(INSTANCE, 7) == made
    assert queues.make_guest_queue(INSTANCE, 7) == made


def test_a_guests_queue_says_whose_it_is_as_the_template_has_it(world: World) -> None:
    queues.make_guest_queue(INSTANCE, 7)
    tags = world.sqs.queues[queues.guest_queue_name(INSTANCE, 7)].tags
    assert tags.keys() == {*TAGS, queues.INSTANCE_TAG}
    assert tags["coffer:deployment"] == settings().deployment_id
    assert tags[queues.INSTANCE_TAG] == INSTANCE


def test_a_queue_that_the_release_before_has_made_is_found(world: World) -> None:
    name = queues.guest_queue_name(INSTANCE, 7)
    made = world.sqs.create_queue(QueueName=name)["QueueUrl"]
    assert queues.make_guest_queue(INSTANCE, 7) == made


def test_a_queue_that_is_gone_is_removed_without_complaint(world: World) -> None:
    url = queues.make_guest_queue(INSTANCE, 7)
    queues.remove_guest_queue(url)
    queues.remove_guest_queue(url)
    assert queues.guest_queue_name(INSTANCE, 7) not in world.sqs.queues


@pytest.mark.parametrize("error", [None, EndpointConnectionError(endpoint_url="https://sqs")])
def test_a_hint_that_cannot_be_sent_does_not_fail_what_was_accepted(
    world: World, monkeypatch: pytest.MonkeyPatch, error: BotoCoreError | None
) -> None:
    """Whether SQS refuses it, or is not reached at all."""
    if error is None:
        world.faults = {1: Fault.REFUSED, 2: Fault.REFUSED}
    else:
        monkeypatch.setattr(world.sqs, "send_message", Mock(side_effect=error))
    queues.notify_task_manager("operation-1")
    queues.notify_of_schedule("schedule-1", 5)
    assert world.sqs.records(settings().taskmanager_queue_url) == []


def test_a_buried_message_carries_its_reason(world: World) -> None:
    queues.bury("the body", "the reason")
    (record,) = world.sqs.records(settings().dead_letters_queue_url)
    assert record["body"] == "the body"
    assert queues.attribute(record, queues.REASON) == "the reason"


@pytest.mark.parametrize("found", [{}, {"redrives": {"dataType": "Binary", "binaryValue": "AA=="}}])
def test_an_attribute_that_is_no_text_counts_as_none(found: dict[str, object]) -> None:
    assert queues.attribute({"messageAttributes": found}, queues.REDRIVES) is None
