"""One call that is made beside its caller's own work: the part that is under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from chalicelib import aws
from guest_agent.backups.store import StoreFailed

LONGEST_SECONDS: Final = 900.0
"""More than a store takes for one object, with all that it is tried for."""

T = TypeVar("T")


class Beside(Generic[T]):
    """A call that has been begun; `result` waits for it."""

    def __init__(self, call: Callable[[], T], name: str, seconds: float = LONGEST_SECONDS) -> None:
        self._call, self._seconds = call, seconds
        self._ended = aws.event()
        self._results: list[T] = []
        self._error: Exception | None = None
        aws.spawn(self._run, name)

    def result(self) -> T:
        """What it has returned; raises what it has raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._results[0]

    def wait(self) -> None:
        """Wait for its end, however it ends."""
        if not aws.wait(self._ended, self._seconds):
            raise StoreFailed(f"the object store held a call for {self._seconds:.0f} s")

    def _run(self) -> None:
        try:
            self._results.append(self._call())
        except Exception as error:  # noqa: BLE001 - it is the caller's, who waits for it
            self._error = error
        finally:
            self._ended.set()
