"""What a run shows while it goes on: a bar in virtual time and live counters."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulator.report.words import compact, count, duration, many

if TYPE_CHECKING:
    from simulator.result import Counters

BAR_WIDTH: Final = 32
REDRAWS_PER_SECOND: Final = 8
LINE_SECONDS: Final = 30.0
"""Where nothing can be redrawn, a line so often."""


@contextlib.contextmanager
def watched(console: Console) -> Iterator[Callable[["Counters"], None]]:
    """A function to be told how far a run is; on a terminal it draws, elsewhere it writes lines."""
    if console.is_terminal:
        first = Text("setting up …", style="dim")
        with Live(
            first, console=console, refresh_per_second=REDRAWS_PER_SECOND, transient=True
        ) as live:
            yield lambda counters: live.update(drawn(counters))
    else:
        yield Lines(console).tell


class Lines:
    """One line for each phase, and one now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._phase = ""
        self._told = 0.0

    def tell(self, counters: "Counters") -> None:
        """Write a line when it is time for one."""
        now = time.monotonic()
        if counters.phase == self._phase and now - self._told < LINE_SECONDS:
            return
        self._phase, self._told = counters.phase, now
        self._console.print(f"{counters.phase:<7} {_where(counters)}  {spoken(counters)}")


def drawn(counters: "Counters") -> Group:
    """The bar and, below it, the counters."""
    total = max(counters.of_virtual_seconds, counters.virtual_seconds, 1.0)
    line = Table.grid(padding=(0, 2))
    line.add_row(
        Text(f"{counters.phase:<6}", style="bold"),
        ProgressBar(total=total, completed=counters.virtual_seconds, width=BAR_WIDTH),
        _where(counters),
    )
    style = "red" if counters.violations else "dim"
    # The console wraps nothing by itself; in a narrow window the counters take two lines.
    return Group(line, Text(spoken(counters), style=style, no_wrap=False, overflow="fold"))


def spoken(counters: "Counters") -> str:
    """The counters in words."""
    wall = counters.wall_seconds
    speed = counters.virtual_seconds / wall if wall > 0 else 0.0
    return " · ".join(
        (
            f"{compact(counters.events)} events",
            many(counters.guests, "guest"),
            f"{many(counters.operations, 'operation')} ({count(counters.live_operations)} live)",
            many(counters.injected, "fault"),
            many(counters.violations, "violation"),
            f"{compact(round(speed))} virtual seconds a second",
        )
    )


def _where(counters: "Counters") -> str:
    """How far it is; after the chaos nobody knows how long the healing takes."""
    if counters.virtual_seconds > counters.of_virtual_seconds:
        return duration(counters.virtual_seconds)
    return f"{duration(counters.virtual_seconds)} of {duration(counters.of_virtual_seconds)}"
