"""The file of a swarm: what each seed said, one JSON document a line; and going on with it.

A run that is long is begun again where it was left, and seeds that several machines have run are
put together: a seed that the file has, of the same plan, is not run once more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from infra.cli.files import require_writable, writing
from infra.errors import UnusableInputError

if TYPE_CHECKING:
    # The simulator brings all handlers with it: only a run pays for them, not the help.
    from simulator.plan import Plan
    from simulator.swarm import Outcome


def there_already(path: Path | None, plan: Plan, seeds: range) -> list[Outcome]:
    """What a file has of these seeds; a last line that is cut off is taken away."""
    from simulator.swarm import Outcome, of_plan

    if path is None:
        raise UnusableInputError("--resume goes on with a file.", "Name it with --json.")
    if not path.exists():
        return []
    require_writable(path)
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    try:
        found = [msgspec.json.decode(line, type=Outcome) for line in whole.splitlines()]
    except msgspec.DecodeError as error:
        raise UnusableInputError(f"{path} has a line that is no seed's: {error}") from None
    if any(each.plan != of_plan(plan) for each in found):
        raise UnusableInputError(
            f"{path} has seeds of another plan.",
            "Name another file, or the scenario, --guests, --hours and --faults of that one.",
        )
    if len(whole) < len(content):
        with writing(path), path.open("r+b") as file:
            file.truncate(len(whole))
    return list({each.seed: each for each in found if each.seed in seeds}.values())


@contextlib.contextmanager
def kept_in(path: Path | None, *, resumed: bool) -> Iterator[Callable[[Outcome], None]]:
    """A function that writes a seed's outcome where --json says, at once."""
    if path is None:
        yield lambda outcome: None
        return
    require_writable(path)
    with path.open("ab" if resumed else "wb") as file:

        def keep(outcome: Outcome) -> None:
            with writing(path):
                file.write(msgspec.json.encode(outcome) + b"\n")
                file.flush()

        yield keep
