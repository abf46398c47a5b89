"""Logging: one JSON object a line, with no message bodies, tokens or passwords in it.

A line of work (a request, a step, a report, a sweep) is a span of its trace (`chalicelib.tracing`)
and carries its metrics (`chalicelib.metrics`). Any other line says of which of them it is a part.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from chalicelib import aws, metrics, tracing

FIELDS: Final[Mapping[str, str]] = {
    "time": "when it was written; of guests only, as CloudWatch keeps the time of a line",
    "kind": "what was done; the line is a span",
    "trace_id": "the trace, one for a request and all that comes of it",
    "span_id": "this piece of work; of a line without `kind`, the one it was written in",
    "parent_id": "the piece of work that this is a part of; none of a trace's first",
    "began": "when it began, in seconds since the epoch",
    "took_ms": "how long it took, in milliseconds",
    "outcome": "how it ended",
    "error": "the class of the error that it ended with",
    "request_id": "the request that asked for it, as its client was told it",
    "operation_id": "the operation that it belongs to",
    "instance_id": "the instance",
    "tenant_id": "the project of who asked; of an operation, the one whose instance it is",
    "user_id": "who asked",
    "action": "of a request, method and route, or the action; else the operation's flow",
    "status": "the HTTP status of the answer",
    "audit": "true for a request that would change something",
    "roles": "the roles of who asked for it",
    "admin": "whether they make an administrator",
    "source_ip": "the address that it came from",
    "target": "the path that it was sent to",
    "owner_id": "the project of the instance that it was sent for",
    "step": "the step of a flow, or the job",
    "attempt": "which execution of the operation it is, from 0",
    "method": "the method of a guest, or the call of the cloud",
    "generation": "the generation of the guest",
    "report": "the kind of a guest's report",
    "count": "how many were looked at",
    "failed": "how many of them failed",
    "refused": "how many of them were refused",
    "reason": "why a message was refused",
    "late": "how many of them were late",
    "started": "how many were started",
    "instances": "the instances that the line's metrics are of, in the order of their values",
    "alarm": "what somebody has to look at",
}
"""What a line may hold beside level, logger, message and its metrics."""


class JsonFormatter(logging.Formatter):
    """Level, logger, message, the known ones of `FIELDS` and, for an exception, its traceback."""

    def __init__(self, deployment: str = "", *, timed: bool = False) -> None:
        """`timed` where nothing else says when a line was written."""
        super().__init__()
        self._deployment = deployment
        self._timed = timed

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._timed:
            line["time"] = datetime.fromtimestamp(record.created, UTC).isoformat()
        told = tracing.around() | vars(record)
        line |= {name: told[name] for name in FIELDS if told.get(name) is not None}
        measured = getattr(record, "measured", ())
        line.update(metrics.embedded(measured, self._deployment, aws.clock()))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def set_up(level: str, deployment: str) -> None:
    """Format the records of Coffer's own loggers; called once by each Lambda entry point.

    They go to standard output, where CloudWatch looks for metrics.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(deployment))
    _hand_over(("chalicelib", "functions"), level, handler)


def set_up_guest(level: str) -> None:
    """Format all records of a guest agent, whose log is read where it runs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(timed=True))
    _hand_over(("",), level, handler)


def _hand_over(loggers: Iterable[str], level: str, handler: logging.Handler) -> None:
    for name in loggers:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
