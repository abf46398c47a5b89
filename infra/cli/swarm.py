"""`coffer swarm`: one scenario under many seeds, and which of them break a promise."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.cli import again, chosen, failures, outcomes, shrinking
from infra.cli.attempt import BROKEN, INTERRUPTED
from infra.cli.console import err, out, prose
from infra.cli.running import LINE_SECONDS
from infra.errors import UNEXPECTED, UnusableInputError
from simulator.report.words import count, duration, many

if TYPE_CHECKING:
    # The simulator brings all handlers with it: only a run pays for them, not the help.
    from simulator.plan import Plan
    from simulator.swarm import Outcome, Totals

MOST_SEEDS: Final = 1_000_000

Scenario = Annotated[
    str, typer.Argument(help="A scenario's name, or the path of a TOML file.", metavar="SCENARIO")
]
Seeds = Annotated[int, typer.Option(metavar="N", help="How many seeds.")]
First = Annotated[int, typer.Option(metavar="S", help="The first seed; the others follow it.")]
Jobs = Annotated[int | None, typer.Option(metavar="J", help="Processes; else one for each core.")]
Guests = Annotated[int | None, typer.Option(metavar="N", help="Instances; else the scenario's.")]
Hours = Annotated[
    float | None, typer.Option(metavar="H", help="Virtual hours; else the scenario's.")
]
Faults = Annotated[
    str | None,
    typer.Option(metavar="F1=0.2,F5|swarm|none", help="As for `simulate`; else the scenario's."),
]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="What each seed said, one JSON document a line."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with --json's file: run the seeds that it lacks.")
]
Shrink = Annotated[float, typer.Option(metavar="SECONDS", help=shrinking.HELP)]


class Given(NamedTuple):
    """A scenario as it was named, and its plan, which each seed draws for itself."""

    scenario: str
    plan: "Plan"

    def of_seed(self, seed: int) -> "Plan":
        """What one seed runs."""
        from simulator import plan as plans

        return plans.drawn(plans.with_options(self.plan, seed=seed))

    def command(self, plan: "Plan") -> str:
        """The command that gives such a plan's run."""
        return again.command(plan, [self.scenario])


def command(
    scenario: Scenario,
    seeds: Seeds = 100,
    first: First = 1,
    jobs: Jobs = None,
    guests: Guests = None,
    hours: Hours = None,
    faults: Faults = None,
    json_file: JsonFile = None,
    resume: Resume = False,
    shrink: Shrink = shrinking.SECONDS,
) -> None:
    """Run a scenario under many seeds and list each seed that breaks a promise.

    With each failing seed come its faults and the command that runs it again; at the end, with the
    lowest of them, the shortest plan that still fails and the timeline of the instance. The exit
    code is **0** when every reached invariant holds under all seeds, **1** when one is broken,
    **2** when the input cannot be used or a file cannot be written, **70** when no promise broke
    and a run raised an error that nobody expected, **130** after Ctrl-C.

    Example: `coffer swarm chaos --seeds 2000 --guests 20 --hours 0.5`
    """
    plan = chosen.plan(scenario, guests=guests, hours=hours, seed=first, faults=faults)
    given = Given(scenario, plan)
    if not 1 <= seeds <= MOST_SEEDS:
        raise UnusableInputError(f"--seeds must be within 1 and {MOST_SEEDS}, not {seeds}.")
    if jobs is not None and jobs < 1:
        raise UnusableInputError(f"--jobs must be at least 1, not {jobs}.")
    shrinking.require(shrink)
    interrupted, began = False, time.monotonic()
    totals, wanted = _none_yet(), range(first, first + seeds)
    for outcome in outcomes.there_already(json_file, plan, wanted) if resume else ():
        totals.add(outcome)
    missing = [seed for seed in wanted if seed not in totals.ready]
    with outcomes.kept_in(json_file, resumed=resume) as keep:
        try:
            _run(given, missing, jobs or os.cpu_count() or 1, totals, keep)
        except KeyboardInterrupt:
            interrupted = True
            err.print(f"[red]Interrupted[/] after {totals.seeds} of {many(seeds, 'seed')}.")
    show(totals, time.monotonic() - began, out)
    if totals.failing and not interrupted and shrink > 0:
        interrupted = _shorten(given, totals, shrink)
    if code := INTERRUPTED if interrupted else _code(totals):
        raise typer.Exit(code)


def _shorten(given: Given, totals: "Totals", seconds: float) -> bool:
    """Tell the shortest plan for the lowest failing seed; whether the user has had enough."""
    first = min(totals.failing, key=lambda each: each.seed)
    before = given.of_seed(first.seed)
    search = shrinking.shortest(before, first.failure(), seconds, err)
    if search.shortest is not None:
        failures.show_shortest(search.shortest, before, given.command, out)
    return search.interrupted


def _code(totals: "Totals") -> int:
    if any(each.broken for each in totals.failing):
        return BROKEN
    return UNEXPECTED if totals.failing else 0


def _none_yet() -> "Totals":
    from simulator.swarm import Totals

    return Totals()


def _run(
    given: Given,
    seeds: Sequence[int],
    jobs: int,
    totals: "Totals",
    keep: Callable[["Outcome"], None],
) -> None:
    """All seeds; a failing one is told at once."""
    from simulator import swarm

    bar = Progress(
        TextColumn("seeds"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=err,
        disable=not err.is_terminal,
    )
    told, ready = time.monotonic(), totals.seeds
    most = ready + len(seeds)
    with bar:
        task = bar.add_task("", total=most, completed=ready)
        for outcome in swarm.outcomes(given.plan, seeds, jobs):
            keep(outcome)
            totals.add(outcome)
            bar.update(task, advance=1, description=_spoken(totals))
            if outcome.failed:
                tell(outcome, given.command(given.of_seed(outcome.seed)), err)
            if not err.is_terminal and time.monotonic() - told >= LINE_SECONDS:
                told = time.monotonic()
                err.print(f"{totals.seeds} of {most} seeds  {_spoken(totals)}")


def _spoken(totals: "Totals") -> str:
    return (
        f"{count(totals.guest_hours)} guest-hours · {many(totals.injected.total(), 'fault')} · "
        f"{len(totals.failing)} failing"
    )


def tell(outcome: "Outcome", command_line: str, console: Console) -> None:
    """A failing seed: what is broken, and how to see it again."""
    if outcome.error:
        last = outcome.error.strip().splitlines()[-1]
        console.print(f"[red]✗[/] seed {outcome.seed}: nobody expected {escape(last)}")
    for name in dict.fromkeys(each.invariant for each in outcome.broken):
        texts = [each for each in outcome.broken if each.invariant == name]
        more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
        console.print(f"[red]✗[/] seed {outcome.seed}: {name} {escape(texts[0].text)}{more}")
    console.print(f"  faults {failures.mix(outcome.faults)}")
    console.print(f"  {escape(command_line)}")


def show(totals: "Totals", wall_seconds: float, console: Console) -> None:
    """The sums, the faults, the verdicts, and the failing seeds."""
    faults = Table("fault", "class", box=None, pad_edge=False, header_style="dim")
    for column in ("injected", "in seeds"):
        faults.add_column(column, justify="right")
    for id_, title, injected, in_seeds in totals.faults():
        faults.add_row(id_, escape(title), f"{injected:,}", f"{in_seeds:,}")
    verdicts = Table("invariant", box=None, pad_edge=False, header_style="dim")
    for column in ("holds", "broken", "not reached"):
        verdicts.add_column(column, justify="right")
    for name, counted in totals.verdicts.items():
        broken = counted["broken"]
        shown = f"[red]{broken}[/]" if broken else "0"
        verdicts.add_row(name, str(counted["holds"]), shown, str(counted["not reached"]))
    for table in (faults, verdicts):
        console.print(table)
        console.print()
    prose(
        f"{many(totals.seeds, 'seed')} · {count(totals.guest_hours)} virtual guest-hours · "
        f"{many(totals.asked, 'request')} · {many(totals.operations, 'operation')} · "
        f"{many(totals.injected.total(), 'fault')} · "
        f"{many(totals.events, 'event')} · {duration(wall_seconds)}",
        console,
    )
    if totals.per_guest_month is not None:
        prose(f"${totals.per_guest_month:.3f} a guest and month, at list prices", console)
    if totals.failing:
        seeds = ", ".join(str(seed) for seed in sorted(each.seed for each in totals.failing))
        prose(f"[red]{many(len(totals.failing), 'failing seed')}:[/] {seeds}", console)
    elif totals.seeds:
        console.print("[green]All reached invariants hold under every seed that was run.[/]")
