"""The owner of the dead letters: records each poisoned message, sends healthy ones back.

A message that the conductor buried carries its reason. One that SQS moved there after too many
receives has none: it is judged again, and a healthy one (it landed there in an outage) is redriven
a bounded number of times.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec

from chalicelib import aws, crash
from chalicelib.bus import queues
from chalicelib.bus.envelope import EnvelopeError
from chalicelib.conductor.reports import KINDS, open_report
from chalicelib.settings import settings
from chalicelib.store import events

MOST_REDRIVES: Final = 3

log = logging.getLogger(__name__)


def receive(record: dict[str, Any]) -> None:
    """Judge one dead letter."""
    with crash.scope("dead_letters"):
        body = record["body"]
        reason = queues.attribute(record, queues.REASON)
        destination, why = (None, reason) if reason else _judge(body)
        redrives = _count(queues.attribute(record, queues.REDRIVES))
        if destination is None or redrives >= MOST_REDRIVES:
            why = why or f"not accepted after {redrives} redrives"
            events.record(events.BUS, "message.poisoned", f"{why} ({len(body)} bytes)")
            log.error("a poisoned message: %s", why)
            return
        aws.client("sqs").send_message(
            QueueUrl=destination,
            MessageBody=body,
            MessageAttributes={
                queues.REDRIVES: {"DataType": "Number", "StringValue": str(redrives + 1)}
            },
        )


def _count(text: str | None) -> int:
    """How often it was sent back; a guest may have written anything there."""
    return int(text) if text and text.isdecimal() and len(text) < 4 else 0


def _judge(body: str) -> tuple[str | None, str | None]:
    """Where a healthy message belongs, or why there is no such place."""
    try:
        msgspec.json.decode(body, type=queues.Hint)
        return settings().taskmanager_queue_url, None
    except msgspec.DecodeError:
        pass
    try:
        open_report(body, kinds=KINDS)
        return settings().conductor_queue_url, None
    except EnvelopeError as error:
        return None, f"{type(error).__name__}: {error}"
