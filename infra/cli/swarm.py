"""`coffer swarm`: one scenario under many seeds, and which of them break a promise."""

import contextlib
import os
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.cli import again, failures, shrinking
from infra.cli.console import err, out
from infra.errors import UNEXPECTED, UnusableInputError

if TYPE_CHECKING:
    # The simulator brings all handlers with it: only a run pays for them, not the help.
    from simulator.plan import Plan
    from simulator.swarm import Outcome, Totals

BROKEN: Final = 1
INTERRUPTED: Final = 130
MOST_SEEDS: Final = 1_000_000
LINE_SEEDS: Final = 50
"""Where nothing can be redrawn, a line after so many seeds."""

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
Shrink = Annotated[float, typer.Option(metavar="SECONDS", help=shrinking.HELP)]


def command(
    scenario: Scenario,
    seeds: Seeds = 100,
    first: First = 1,
    jobs: Jobs = None,
    guests: Guests = None,
    hours: Hours = None,
    faults: Faults = None,
    json_file: JsonFile = None,
    shrink: Shrink = shrinking.SECONDS,
) -> None:
    """Run a scenario under many seeds and list each seed that breaks a promise.

    With each failing seed come its faults and the command that runs it again; at the end, with the
    lowest of them, the shortest plan that still fails and the timeline of the instance. The exit
    code is **0** when every reached invariant holds under all seeds, **1** when one is broken,
    **2** when the input cannot be used, **70** when no promise broke and a run raised an error
    that nobody expected, **130** after Ctrl-C.

    Example: `coffer swarm chaos --seeds 500 --guests 10 --hours 1`
    """
    plan = _chosen(scenario, first, guests, hours, faults)
    if not 1 <= seeds <= MOST_SEEDS:
        raise UnusableInputError(f"--seeds must be within 1 and {MOST_SEEDS}, not {seeds}.")
    if jobs is not None and jobs < 1:
        raise UnusableInputError(f"--jobs must be at least 1, not {jobs}.")
    shrinking.require(shrink)
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        lines = None if json_file is None else stack.enter_context(_writing(json_file))
        try:
            chosen = range(first, first + seeds)
            totals = _run(plan, chosen, jobs or os.cpu_count() or 1, scenario, lines)
        except KeyboardInterrupt:
            err.print("[red]Interrupted.[/] The seeds that were ready are in the file of --json.")
            raise typer.Exit(INTERRUPTED) from None
    show(totals, time.perf_counter() - began, out)
    if totals.failing:
        interrupted = shrink > 0 and _shorten(plan, totals, scenario, shrink)
        raise typer.Exit(INTERRUPTED if interrupted else _code(totals))


def _shorten(plan: "Plan", totals: "Totals", scenario: str, seconds: float) -> bool:
    """Tell the shortest plan for the lowest failing seed; whether the user has had enough."""
    first = min(totals.failing, key=lambda each: each.seed)
    before = _of_seed(plan, first.seed)
    search = shrinking.shortest(before, first.failure(), seconds, err)
    if search.shortest is not None:
        failures.show_shortest(
            search.shortest, before, lambda found: again.command(found, [scenario]), out
        )
    return search.interrupted


def _of_seed(plan: "Plan", seed: int) -> "Plan":
    from simulator import plan as plans

    return plans.drawn(plans.with_options(plan, seed=seed))


def _code(totals: "Totals") -> int:
    return BROKEN if any(each.broken for each in totals.failing) else UNEXPECTED


def _chosen(
    scenario: str, first: int, guests: int | None, hours: float | None, faults: str | None
) -> "Plan":
    from simulator import plan as plans

    try:
        plan = plans.load_scenario(scenario)
        return plans.with_options(plan, guests=guests, hours=hours, seed=first, faults=faults)
    except plans.PlanError as error:
        advice = "coffer simulate --list shows the scenarios and the fault classes."
        raise UnusableInputError(str(error), advice) from error


def _writing(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise UnusableInputError(f"{path} cannot be written: {error.strerror}") from error


def _run(plan: "Plan", seeds: range, jobs: int, scenario: str, lines: IO[bytes] | None) -> "Totals":
    """All seeds; a failing one is told at once."""
    from simulator.swarm import Totals, outcomes

    totals = Totals()
    bar = Progress(
        TextColumn("seeds"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=err,
        disable=not err.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=len(seeds))
        for outcome in outcomes(plan, seeds, jobs):
            if lines is not None:
                lines.write(msgspec.json.encode(outcome) + b"\n")
                lines.flush()
            totals.add(outcome)
            bar.update(task, advance=1, description=_spoken(totals))
            if outcome.failed:
                tell(outcome, again.command(_of_seed(plan, outcome.seed), [scenario]), err)
            if not err.is_terminal and totals.seeds % LINE_SEEDS == 0:
                err.print(f"{totals.seeds} of {len(seeds)} seeds  {_spoken(totals)}")
    return totals


def _spoken(totals: "Totals") -> str:
    return (
        f"{totals.guest_hours:,.0f} guest-hours · {totals.injected.total():,} faults · "
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
    console.print(
        f"{totals.seeds:,} seeds · {totals.guest_hours:,.0f} virtual guest-hours · "
        f"{totals.operations:,} operations · {totals.injected.total():,} faults · "
        f"{totals.events:,} events · {wall_seconds:,.0f} s"
    )
    if totals.failing:
        seeds = ", ".join(str(seed) for seed in sorted(each.seed for each in totals.failing))
        console.print(f"[red]{len(totals.failing)} seeds fail:[/] {seeds}")
    else:
        console.print("[green]All reached invariants hold under every seed.[/]")
