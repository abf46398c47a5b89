"""Which engine an image of the simulated cloud installs, and whether it starts."""

from __future__ import annotations

from typing import Final, NamedTuple


class Engine(NamedTuple):
    """A database server of a version. One that does not start ends while it starts."""

    number: str
    starts: bool = True


USUAL: Final = Engine("10.11.6")
"""Of every image that nothing else is said of."""
