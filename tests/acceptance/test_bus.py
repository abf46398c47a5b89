"""What arrives on the real queues and cannot be trusted changes nothing and is recorded."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.bus import keys
from chalicelib.bus.envelope import Direction, Envelope, seal
from infra.local.settings import SECRETS_PATH
from tests.acceptance.stack import Stack, eventually


@pytest.fixture(scope="module")
def instance_id(stack: Stack) -> Iterator[str]:
    """A healthy instance to forge messages about."""
    api = stack.demo
    made = api.created("bus")
    api.healthy(made)
    yield made
    api.delete(made)
    api.wait(made, "GONE")
    stack.assert_owns_nothing(api, made)


@pytest.fixture
def as_control_plane(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process derives keys as the control plane does."""
    for name, value in stack.settings.aws_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COFFER_SECRETS_PATH", SECRETS_PATH)
    previous = aws.install(aws.Provider())
    yield
    aws.install(previous)


def heartbeat(instance_id: str, *, generation: int = 1, **changes: Any) -> Envelope:
    """A heartbeat from the future that says the database crashed."""
    now = time.time()
    fields: dict[str, Any] = {
        "id": aws.new_id(),
        "instance_id": instance_id,
        "generation": generation,
        "epoch": 999,
        "seq": 999,
        "kind": "heartbeat",
        "result": {"status": "crashed"},
        "issued_at": now,
        "expires_at": now + 60,
        **changes,
    }
    return Envelope(**fields)


def sealed(envelope: Envelope, key_of: str | None = None) -> str:
    """The message body, sealed with the envelope's own guest key or another guest's."""
    key = keys.guest_key(
        key_of or envelope.instance_id, envelope.generation, Direction.TO_CONTROL, 1, envelope.epoch
    )
    return seal(envelope, Direction.TO_CONTROL, key)


def tampered(body: str) -> str:
    """The same message with one byte of its content changed."""
    message = json.loads(body)
    content = bytearray(base64.b64decode(message["content"]))
    content[len(content) // 2] ^= 1
    message["content"] = base64.b64encode(bytes(content)).decode()
    return json.dumps(message)


def put(stack: Stack, queue: str, body: str) -> None:
    """Send a message as anybody with the credentials of a guest could."""
    sqs = stack.aws("sqs")
    url = sqs.get_queue_url(QueueName=f"coffer-{queue}")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=body)


def refusals(stack: Stack) -> int:
    """How many messages the bus has refused."""
    pages = stack.aws("dynamodb").get_paginator("scan").paginate(TableName="coffer-events")
    return sum(
        int(item["times"]["N"]) for page in pages for item in page["Items"] if "times" in item
    )


def status_row(stack: Stack, instance_id: str) -> dict[str, Any]:
    """What is stored of the guest's reports."""
    row: dict[str, Any] = stack.aws("dynamodb").get_item(
        TableName="coffer-service-statuses",
        Key={"instance_id": {"S": instance_id}},
        ConsistentRead=True,
    )["Item"]
    return row


@pytest.mark.usefixtures("as_control_plane")
@pytest.mark.parametrize("queue", ["conductor", "heartbeats"])
def test_what_cannot_be_trusted_changes_nothing_and_is_counted(
    stack: Stack, instance_id: str, queue: str
) -> None:
    envelope = heartbeat(instance_id)
    foreign = sealed(envelope, key_of=aws.new_id())
    expired = sealed(heartbeat(instance_id, issued_at=1.0, expires_at=2.0))
    bad = ["no envelope", tampered(sealed(envelope)), foreign, expired]
    before = refusals(stack)
    for body in bad:
        put(stack, queue, body)
    eventually(lambda: refusals(stack) >= before + len(bad), 60, "each refusal is counted")
    assert status_row(stack, instance_id)["status"]["S"] == "healthy"
    shown = stack.demo.show(instance_id)
    assert shown is not None
    assert shown["status"] == "ACTIVE"


@pytest.mark.usefixtures("as_control_plane")
def test_a_replayed_heartbeat_changes_nothing(stack: Stack, instance_id: str) -> None:
    row = status_row(stack, instance_id)
    old = heartbeat(instance_id, epoch=int(row["epoch"]["N"]), seq=0)
    put(stack, "heartbeats", sealed(old))
    put(stack, "heartbeats", sealed(old))
    time.sleep(3)
    assert status_row(stack, instance_id)["status"]["S"] == "healthy"


@pytest.mark.usefixtures("as_control_plane")
def test_a_guest_of_an_older_generation_is_refused_and_counted(
    stack: Stack, instance_id: str
) -> None:
    put(stack, "heartbeats", sealed(heartbeat(instance_id, generation=0)))
    row = eventually(
        lambda: (found := status_row(stack, instance_id))["stale_reports"]["N"] != "0" and found,
        30,
        "the stale report is counted",
    )
    assert row["status"]["S"] == "healthy"
    assert row["generation"]["N"] == "1"
