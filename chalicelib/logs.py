"""Logging: one JSON object a line, with no message bodies, tokens or passwords in it."""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec

from chalicelib.settings import settings

FIELDS: Final = (
    *("request_id", "user_id", "tenant_id", "instance_id", "action", "status", "took_ms"),
    "alarm",
)
"""What a record may carry as `extra`: who asked for what, and the kind of an alarm."""


class JsonFormatter(logging.Formatter):
    """Level, logger, message, the known ones of `FIELDS` and, for an exception, its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            if (value := getattr(record, name, None)) is not None:
                line[name] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def set_up() -> None:
    """Format the records of Coffer's own loggers; called once by each Lambda entry point."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    for name in ("chalicelib", "functions"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(settings().log_level)
        logger.propagate = False
