"""Which version the engine of this server is: told by its program, asked before it starts."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from typing import Final

from chalicelib import engines
from guest_agent.datastores import processes
from guest_agent.errors import GuestError

VERSION_SECONDS: Final = 30.0


def version(command: Sequence[str], told: re.Pattern[str]) -> str:
    """What a program says of its version: the group of `told`. Raises GuestError."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=processes.environment(),
            cwd="/",
            timeout=VERSION_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise GuestError("the database did not tell its version in time") from None
    said = told.search(done.stdout.decode(errors="replace"))
    if done.returncode != 0 or said is None:
        raise GuestError("the database does not tell its version")
    return said[1]


def require(engine: str, number: str) -> tuple[int, ...]:
    """The numbers of the installed version; GuestError unless it is the one that was ordered."""
    numbers, wanted = engines.numbers_of(engine), engines.numbers_of(number)
    if not wanted or numbers[: len(wanted)] != wanted:
        raise GuestError(
            f"the image's database is of version {engine}, and was to be of {number}; nothing was "
            "started"
        )
    return numbers


def strange_data(written: str, engine: str) -> GuestError:
    """Says that the engine cannot go on with what is on the volume."""
    return GuestError(
        f"the data on the volume are of version {written or 'unknown'}, which a database of "
        f"version {engine} cannot go on with; nothing was started"
    )
