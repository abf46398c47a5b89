"""What a long operation tells while it runs; the CLI draws it, a test may listen."""

from contextlib import AbstractContextManager
from typing import Protocol


class Progress(Protocol):
    """Receives the steps of an operation."""

    def step(self, title: str) -> AbstractContextManager[None]:
        """Encloses one step; its duration is shown when it ends."""

    def say(self, text: str) -> None:
        """A remark within or between steps."""
