"""Batches of queue records: each on its own, and SQS is told which of them failed.

The mapping has `ReportBatchItemFailures`, so that one bad record does not bring back its
neighbours (AWS Lambda, "Reporting batch item failures").
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

log = logging.getLogger(__name__)

Answer = dict[str, list[dict[str, str]]]


def each(event: dict[str, Any], handle: Callable[[dict[str, Any]], None]) -> Answer:
    """Run `handle` for each record of an SQS event; answers Lambda's `batchItemFailures`."""
    failed: list[str] = []
    for record in event["Records"]:
        try:
            handle(record)
        except Exception:
            log.exception("a record failed; it will be delivered again")
            failed.append(record["messageId"])
    return {"batchItemFailures": failures(failed)}


def failures(message_ids: Iterable[str]) -> list[dict[str, str]]:
    """How Lambda is told of messages that are to come again."""
    return [{"itemIdentifier": message_id} for message_id in message_ids]
