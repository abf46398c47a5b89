"""The queues: their names and URLs, the hint to the task manager, and the dead letters."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from chalicelib.errors import Unavailable
from chalicelib.settings import settings

RETENTION_SECONDS: Final = 4 * 86400
VISIBILITY_SECONDS: Final = 20
REASON: Final = "reason"
INSTANCE_TAG: Final = "coffer:instance"
REDRIVES: Final = "redrives"

log = logging.getLogger(__name__)


class Hint(msgspec.Struct, frozen=True):
    """What the task manager's queue carries: a pointer to a row, never a fact by itself."""

    operation_id: Annotated[str, msgspec.Meta(max_length=64)]
    schedule: bool = False
    """Whether the id is a schedule's: to whom does not know this, it is no operation's."""


def guest_queue_name(instance_id: str, generation: int) -> str:
    """The name of a guest's queue; at most 80 characters (an SQS limit)."""
    return f"{settings().prefix}-guest-{instance_id}-{generation}"


def notify_task_manager(operation_id: str) -> None:
    """Ask the dispatcher to start an operation now. A lost hint is the sweeper's to repeat."""
    body = msgspec.json.encode(Hint(operation_id)).decode()
    try:
        aws.client("sqs").send_message(QueueUrl=settings().taskmanager_queue_url, MessageBody=body)
    except (ClientError, BotoCoreError) as error:
        log.warning("hint for %s not sent: %s", operation_id, type(error).__name__)


def notify_of_schedule(schedule_id: str, delay_seconds: int) -> None:
    """Ask the dispatcher to look at a schedule of backups; the sweeper repeats a lost hint."""
    body = msgspec.json.encode(Hint(schedule_id, schedule=True)).decode()
    try:
        aws.client("sqs").send_message(
            QueueUrl=settings().taskmanager_queue_url,
            MessageBody=body,
            DelaySeconds=delay_seconds,
        )
    except (ClientError, BotoCoreError) as error:
        log.warning("hint for %s not sent: %s", schedule_id, type(error).__name__)


def make_guest_queue(instance_id: str, generation: int) -> str:
    """Make the queue of a guest, or find it as it is; returns its URL.

    It has the tags of all that is the deployment's (infra/package/template.py), and its instance's.
    """
    sqs = aws.client("sqs")
    try:
        answer = sqs.create_queue(
            QueueName=guest_queue_name(instance_id, generation),
            Attributes={
                "MessageRetentionPeriod": str(RETENTION_SECONDS),
                "VisibilityTimeout": str(VISIBILITY_SECONDS),
                "ReceiveMessageWaitTimeSeconds": "20",
            },
            tags={
                "coffer:deployment": settings().deployment_id,
                "coffer:prefix": settings().prefix,
                INSTANCE_TAG: instance_id,
            },
        )
    except sqs.exceptions.QueueNameExists:
        # SQS compares tags, too: a release that gave others made it before this one went on.
        return guest_queue_url(instance_id, generation)
    return str(answer["QueueUrl"])


def guest_queue_url(instance_id: str, generation: int) -> str:
    """The URL of a guest's queue, which lies beside the control plane's queues. No call."""
    base = settings().conductor_queue_url.rsplit("/", 1)[0]
    return f"{base}/{guest_queue_name(instance_id, generation)}"


def remove_guest_queue(queue_url: str) -> None:
    """Delete a guest's queue; one that is gone already is fine."""
    sqs = aws.client("sqs")
    try:
        sqs.delete_queue(QueueUrl=queue_url)
    except sqs.exceptions.QueueDoesNotExist:
        return


def send_to_guest(queue_url: str, body: str) -> None:
    """Put a sealed command on a guest's queue; `Unavailable` when there is none any more."""
    sqs = aws.client("sqs")
    try:
        sqs.send_message(QueueUrl=queue_url, MessageBody=body)
    except sqs.exceptions.QueueDoesNotExist:
        raise Unavailable("The guest's queue is gone; its instance is being deleted.") from None


def bury(body: str, reason: str) -> None:
    """Put a message that can never be accepted where its owner records it."""
    aws.client("sqs").send_message(
        QueueUrl=settings().dead_letters_queue_url,
        MessageBody=body,
        MessageAttributes={REASON: {"DataType": "String", "StringValue": reason}},
    )


def attribute(record: dict[str, Any], name: str) -> str | None:
    """A string attribute of a record of a Lambda event."""
    found = record.get("messageAttributes", {}).get(name)
    return found.get("stringValue") if found else None
