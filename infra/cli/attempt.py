"""One run for the command line: to its end, or what is known when it does not come there.

Also what follows a failure: the search for a shorter plan, and the telling of both.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape

from infra.cli import again, failures, shrinking
from infra.cli.console import err
from infra.cli.running import spoken, watched
from infra.errors import UNEXPECTED

if TYPE_CHECKING:
    # The simulator brings all handlers with it: only a run pays for them, not the help.
    from simulator.plan import Plan
    from simulator.result import Result
    from simulator.run import Run
    from simulator.shrink import Failure

BROKEN: Final = 1
INTERRUPTED: Final = 130
MOST_EXPLAINED: Final = 3


class Given(NamedTuple):
    """Where a plan comes from (a scenario, or `--replay` and a file), and how it is run."""

    source: list[str]
    verify: bool
    shrink_seconds: float

    def command(self, plan: Plan) -> str:
        """The command that gives such a plan's run."""
        return again.command(plan, self.source, *(["--verify"] if self.verify else []))


def run(plan: Plan, given: Given) -> Result:
    """The result; an interrupted run and one that breaks off say what is known, and exit."""
    from simulator import outcome, shrink
    from simulator.run import Run

    begun: Run | None = None
    error: Exception | None = None
    try:
        begun = Run(plan)
        return _executed(begun, given)
    except KeyboardInterrupt:
        err.print("[red]Interrupted.[/] The run was given up; no result was written.")
    except Exception as raised:  # noqa: BLE001 - told with what repeats it, and its own exit code
        error = raised
        err.print("[red bold]The run broke off[/] with an error that nobody expected; no result.")
        err.print(escape(outcome.told(error)))
    _tell_what_is_known(begun, plan, given)
    if error is None:
        raise typer.Exit(INTERRUPTED)
    time = begun.world.elapsed if begun is not None else 0.0
    search = _search(plan, shrink.failure_of_error(error, time), given)
    if search.shortest is not None:
        failures.show_shortest(search.shortest, plan, given.command, err)
    raise typer.Exit(INTERRUPTED if search.interrupted else UNEXPECTED)


def _executed(begun: Run, given: Given) -> Result:
    from simulator.verify import compared, second_run

    with contextlib.ExitStack() as stack:
        second = stack.enter_context(second_run(begun.world.plan)) if given.verify else None
        with watched(err) as progress:
            result = begun.execute(progress)
        if second is not None:
            compared(begun, result, second)
        return result


def _tell_what_is_known(begun: Run | None, plan: Plan, given: Given) -> None:
    """How far a run came that will not come to its end, and what broke until then."""
    from simulator import outcome

    if begun is not None:
        err.print(f"{begun.phase}, {escape(spoken(outcome.counters(begun)))}")
    failures.show_head(plan, given.command(plan), err)
    if begun is not None and begun.invariants is not None and begun.invariants.violations:
        broken = begun.invariants.violations[:MOST_EXPLAINED]
        err.print(escape(begun.invariants.explain(broken)))


def shorten(result: Result, plan: Plan, given: Given) -> bool:
    """Put the shortest plan that fails like a run into its result; whether it was interrupted."""
    from simulator import shrink

    failure = shrink.failure_of(result)
    if failure is None:
        return False
    result.shortest, interrupted = _search(plan, failure, given)
    return interrupted


def _search(plan: Plan, failure: Failure, given: Given) -> shrinking.Search:
    if not given.shrink_seconds:
        return shrinking.Search(None, False)
    return shrinking.shortest(plan, failure, given.shrink_seconds, err)


def tell(result: Result, plan: Plan, given: Given, console: Console) -> None:
    """What failed, if anything did."""
    if result.broken() or result.errors:
        failures.show(result, plan, given.command(plan), console)
    if result.shortest is not None:
        failures.show_shortest(result.shortest, plan, given.command, console)
