"""The lines that a logger writes, as they leave the process."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chalicelib.logs import JsonFormatter


class _Lines(logging.Handler):
    """Formats each record where it is made, as the functions do: in the work it belongs to."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonFormatter("prefix"))
        self.written: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(json.loads(self.format(record)))


@contextmanager
def lines_of(*names: str) -> Iterator[list[dict[str, Any]]]:
    """What these loggers write meanwhile, at every level."""
    handler = _Lines()
    loggers = [logging.getLogger(name) for name in names]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.addHandler(handler)
        each.setLevel(logging.DEBUG)
    try:
        yield handler.written
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.removeHandler(handler)
            each.setLevel(level)
