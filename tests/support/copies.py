"""A run that is copied on its way, so that what happens in a copy need not be run up to again.

A copy is the process as it is at that moment (a fork). It goes on to its own end and tells what was
wrong then; meanwhile the run waits.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Callable


class Copies:
    """The copies of one run; `failures` tells what was wrong in which."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.count = 0
        self._pipe: int | None = None
        """In a copy: where it tells how it ended."""
        self._what = ""

    @property
    def in_a_copy(self) -> bool:
        """Whether this is a copy, and not the run."""
        return self._pipe is not None

    def run(self, work: Callable[[], object]) -> None:
        """Do the work in which copies are made; each of them ends here."""
        try:
            work()
        except BaseException:
            if self._pipe is None:
                raise
            _end(self._pipe, f"{self._what}: {traceback.format_exc()}")
        if self._pipe is not None:
            _end(self._pipe, "")

    def copy(self, what: str) -> bool:
        """Make a copy, and wait for its end; whether this is the copy. `what` happens in it."""
        assert self._pipe is None, "a copy is not copied"
        self.count += 1
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            gc.disable()  # to look through the run's memory would copy all of it
            os.close(reading)
            self._pipe, self._what = writing, what
            return True
        os.close(writing)
        with os.fdopen(reading, "rb") as told:
            failure = told.read().decode()
        _, status = os.waitpid(process, 0)
        if failure or status:
            self.failures.append(failure or f"{what}: the copy ended with {status}")
        return False


def _end(pipe: int, failure: str) -> None:
    """End without a word to whoever started the process that was copied."""
    with os.fdopen(pipe, "wb") as told:
        told.write(failure.encode())
    os._exit(0)
