"""The log lines of our own code while a run is watched: every one, at every level."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

LOGGERS: Final = ("chalicelib", "functions", "guest_agent")

OnLine = Callable[[logging.LogRecord], None]


class LogLines(logging.Handler):
    """Takes the loggers over from their own handlers until it is closed."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._told: list[OnLine] = []
        self._before: list[tuple[logging.Logger, list[logging.Handler], int, bool]] = []

    def tell(self, function: OnLine) -> None:
        """Tell a function of each line from now on."""
        self._told.append(function)

    def install(self) -> None:
        """Take them over."""
        for name in LOGGERS:
            logger = logging.getLogger(name)
            self._before.append((logger, logger.handlers, logger.level, logger.propagate))
            logger.handlers = [self]
            logger.propagate = False
            logger.setLevel(logging.DEBUG)

    def emit(self, record: logging.LogRecord) -> None:
        for function in self._told:
            function(record)

    def close(self) -> None:
        while self._before:
            logger, handlers, level, propagate = self._before.pop()
            logger.handlers = handlers
            logger.propagate = propagate
            logger.setLevel(level)
        super().close()
