"""What arrives on the real queues and cannot be trusted changes nothing and is recorded."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import ClientError

from chalicelib import aws
from chalicelib.bus import keys
from chalicelib.bus.contract import CREATE_DATABASE
from chalicelib.bus.envelope import Direction, Envelope, seal
from infra.local.settings import REGION, SECRETS_PATH
from tests.acceptance.stack import Stack, eventually
from tests.bench import load

FORGED = "forged"


@pytest.fixture(scope="module")
def instance_id(stack: Stack) -> Iterator[str]:
    """A healthy instance to forge messages about."""
    api = stack.demo
    made = api.created("bus", databases=[{"name": "shop"}])
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


def command(instance_id: str, **changes: Any) -> Envelope:
    """A command that only the control plane may give."""
    now = time.time()
    fields: dict[str, Any] = {
        "id": aws.new_id(),
        "instance_id": instance_id,
        "generation": 1,
        "kind": "command",
        "method": CREATE_DATABASE.name,
        "args": {"databases": [{"name": FORGED}]},
        "issued_at": now,
        "expires_at": now + 60,
        **changes,
    }
    return Envelope(**fields)


def sealed(
    envelope: Envelope, key_of: str | None = None, direction: Direction = Direction.TO_CONTROL
) -> str:
    """The message body, sealed with the envelope's own guest key or another guest's."""
    key = keys.guest_key(
        key_of or envelope.instance_id, envelope.generation, direction, 1, envelope.epoch
    )
    return seal(envelope, direction, key)


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


def is_done_with(stack: Stack, queue: str) -> bool:
    """Whether nothing is on a queue, or being worked at."""
    sqs = stack.aws("sqs")
    url = sqs.get_queue_url(QueueName=f"coffer-{queue}")["QueueUrl"]
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
    return all(found[count] == "0" for count in counts)


def databases(stack: Stack, instance_id: str) -> set[str]:
    answer = stack.demo.request("GET", f"/instances/{instance_id}/databases")
    return {each["name"] for each in answer.json()["databases"]}


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


@pytest.mark.usefixtures("as_control_plane")
def test_a_guest_obeys_the_control_plane_alone_and_once(stack: Stack, instance_id: str) -> None:
    queue, asked = f"guest-{instance_id}-1", command(instance_id)
    right, other = sealed(asked, direction=Direction.TO_GUEST), aws.new_id()
    past = time.time() - 3600
    for body in (
        "no envelope",
        msgspec.json.encode(asked).decode(),
        tampered(right),
        sealed(asked, key_of=other, direction=Direction.TO_GUEST),
        sealed(command(other), direction=Direction.TO_GUEST),
        sealed(asked),
        sealed(command(instance_id, issued_at=past, expires_at=past + 1), None, Direction.TO_GUEST),
    ):
        put(stack, queue, body)
    eventually(lambda: is_done_with(stack, queue), 60, "the guest has read all of it")
    assert databases(stack, instance_id) == {"shop"}

    put(stack, queue, right)
    eventually(lambda: databases(stack, instance_id) == {"shop", FORGED}, 60, "a command is obeyed")
    gone = stack.demo.request("DELETE", f"/instances/{instance_id}/databases/{FORGED}")
    assert gone.status_code == 202
    put(stack, queue, right)
    eventually(lambda: is_done_with(stack, queue), 60, "the guest has read it again")
    assert databases(stack, instance_id) == {"shop"}


def test_a_guests_queue_says_whose_it_is(stack: Stack, instance_id: str) -> None:
    sqs = stack.aws("sqs")
    url = sqs.get_queue_url(QueueName=f"coffer-guest-{instance_id}-1")["QueueUrl"]
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {
        "coffer:deployment": stack.secrets.deployment_id,
        "coffer:prefix": "coffer",
        "coffer:instance": instance_id,
    }


def test_a_guests_credentials_open_no_queue_but_its_own(stack: Stack, instance_id: str) -> None:
    """By IAM, which a community LocalStack has not: there seals alone keep guests apart."""
    held = load.stolen_credentials(stack, instance_id)
    thief = boto3.client(
        "sqs",
        endpoint_url=stack.settings.aws_url,
        region_name=REGION,
        aws_access_key_id=held.access_key_id,
        aws_secret_access_key=held.secret_access_key,
        aws_session_token=held.session_token,
    )
    sqs = stack.aws("sqs")
    own = sqs.get_queue_url(QueueName=f"coffer-guest-{instance_id}-1")["QueueUrl"]
    operations = sqs.get_queue_url(QueueName="coffer-taskmanager")["QueueUrl"]
    thief.receive_message(QueueUrl=own)
    foreign = sqs.create_queue(QueueName=f"coffer-guest-{aws.new_id()}-1")["QueueUrl"]
    try:
        for call, arguments in (
            ("receive_message", {"QueueUrl": foreign}),
            ("delete_message", {"QueueUrl": foreign, "ReceiptHandle": "a receipt"}),
            ("send_message", {"QueueUrl": foreign, "MessageBody": "a command"}),
            ("send_message", {"QueueUrl": own, "MessageBody": "a command"}),
            ("send_message", {"QueueUrl": operations, "MessageBody": "a hint"}),
            ("delete_queue", {"QueueUrl": own}),
            ("list_queues", {}),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                getattr(thief, call)(**arguments)
    finally:
        sqs.delete_queue(QueueUrl=foreign)
