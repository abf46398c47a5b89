"""The owner of the dead letters: counts the poisoned messages, sends healthy ones back.

A message that the conductor buried carries its reason. One that SQS moved there after too many
receives has none: it is judged again, and a healthy one (it landed there in an outage) is redriven
a bounded number of times. A poisoned one leaves the queue only when it has been counted.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec

from chalicelib import aws, batch, crash, tracing
from chalicelib.bus import keys, queues
from chalicelib.bus.envelope import EnvelopeError
from chalicelib.conductor.reports import KINDS, open_report
from chalicelib.conductor.tally import Tally
from chalicelib.outages import OUTAGES
from chalicelib.settings import settings

MOST_REDRIVES: Final = 3
KIND: Final = "message.poisoned"

log = logging.getLogger(__name__)


class NotAccepted(EnvelopeError):
    """A message that looks healthy and fails each time that it is handled."""


def receive(event: dict[str, Any]) -> batch.Answer:
    """Judge a batch; what could not be sent back, or counted, is delivered again."""
    tally, poisoned = Tally(KIND), list[str]()

    def judge(record: dict[str, Any]) -> None:
        why = _poisoned(record)
        if why is not None:
            tally.add(why)
            poisoned.append(record["messageId"])

    with tracing.span(log, "dead_letters") as span, crash.scope("dead_letters"):
        answer = batch.each(event, judge)
        span.tell(count=len(event["Records"]), refused=len(poisoned))
        try:
            tally.store()
        except OUTAGES:
            log.exception("poisoned messages were not counted")
            answer["batchItemFailures"] += batch.failures(poisoned)
    return answer


def _poisoned(record: dict[str, Any]) -> str | None:
    """Send a healthy message back to its queue; else why it is poisoned."""
    body = record["body"]
    reason = queues.attribute(record, queues.REASON)
    destination, why = (None, reason) if reason else _judge(body)
    redrives = _count(queues.attribute(record, queues.REDRIVES))
    if destination is None or redrives >= MOST_REDRIVES:
        why = why or f"{NotAccepted.__name__}: not accepted after {redrives} redrives"
        return f"{why} ({len(body)} bytes)"
    aws.client("sqs").send_message(
        QueueUrl=destination,
        MessageBody=body,
        MessageAttributes={
            queues.REDRIVES: {"DataType": "Number", "StringValue": str(redrives + 1)}
        },
    )
    return None


def _count(text: str | None) -> int:
    """How often it was sent back; a guest may have written anything there."""
    return int(text) if text and text.isdecimal() and len(text) < 4 else 0


def _judge(body: str) -> tuple[str | None, str | None]:
    """Where a healthy message belongs, or why there is no such place."""
    try:
        msgspec.json.decode(body, type=queues.Hint)
        return settings().taskmanager_queue_url, None
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        open_report(body, kinds=KINDS)
        return settings().conductor_queue_url, None
    except keys.NotYetKnown:
        return settings().conductor_queue_url, None
    except EnvelopeError as error:
        return None, f"{type(error).__name__}: {error}"
