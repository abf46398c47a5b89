"""Logging: one JSON object a line, with no message bodies, tokens or passwords in it."""

from __future__ import annotations

import logging

import msgspec

from chalicelib.settings import settings


class JsonFormatter(logging.Formatter):
    """Level, logger, message, the kind of an alarm and, for an exception, its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", None):
            line["request_id"] = request_id
        if alarm := getattr(record, "alarm", None):
            line["alarm"] = alarm
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
