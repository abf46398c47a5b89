"""Looks for the shortest plan that still fails, within a time of the wall clock."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from rich.console import Console

from infra.errors import UnusableInputError
from simulator.report.words import duration, many, size

if TYPE_CHECKING:
    from simulator.plan import Plan
    from simulator.result import Shortest
    from simulator.shrink import Failure, Progress

SECONDS: Final = 60.0
"""Enough for some dozen runs of a small fleet."""

HELP: Final = (
    "When a promise breaks, look so long for the shortest plan that still breaks it; 0: do not."
)


class Search(NamedTuple):
    """What a search has found, and whether the user has ended it with Ctrl-C."""

    shortest: Shortest | None
    interrupted: bool


def require(seconds: float) -> None:
    """UnusableInputError for a time that is none."""
    if not 0 <= seconds < float("inf"):
        raise UnusableInputError(f"--shrink must be a number of seconds, not {seconds}.")


def shortest(plan: Plan, failure: Failure, seconds: float, console: Console) -> Search:
    """Run smaller plans for at most so long; what is known so far when somebody presses Ctrl-C."""
    from simulator import shrink
    from simulator.result import Shortest

    began = time.monotonic()
    known = shrink.Progress(plan, failure, 0)
    complete = interrupted = False
    fails = shrink.failing_like(failure, lambda: time.monotonic() - began >= seconds)
    # A handler that writes to stdout must not end up in a program's JSON.
    with contextlib.redirect_stdout(sys.stderr), _shown(console, seconds) as show:

        def told(progress: Progress) -> None:
            nonlocal known
            known = progress
            show(progress, time.monotonic() - began)

        try:
            complete = shrink.shrink(plan, failure, fails, told=told).complete
        except KeyboardInterrupt:
            interrupted = True
    found = Shortest(
        what=failure.what,
        plan=msgspec.to_builtins(known.plan),
        violation=known.failure.violation,
        runs=known.runs,
        wall_seconds=time.monotonic() - began,
        complete=complete,
    )
    return Search(found, interrupted)


@contextlib.contextmanager
def _shown(console: Console, seconds: float) -> Iterator[Callable[[Progress, float], None]]:
    """On a terminal a line that changes; elsewhere one line at the begin."""
    title = f"looking for the shortest plan that still fails, at most {duration(seconds)}"
    if not console.is_terminal:
        console.print(f"{title} …")
        yield lambda progress, elapsed: None
        return
    with console.status(title) as status:
        yield lambda progress, elapsed: status.update(
            f"{title}: {spoken(progress)}, {duration(elapsed)}"
        )


def spoken(progress: Progress) -> str:
    """How far it is, in words."""
    plan = msgspec.to_builtins(progress.plan)
    return f"{many(progress.runs, 'run')}, {size(plan)}"
