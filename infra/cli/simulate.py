"""`coffer simulate`: a fleet in virtual time, broken on purpose, and whether its promises hold."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from infra.cli import attempt, shrinking, summary
from infra.cli.attempt import BROKEN, INTERRUPTED, Given
from infra.cli.console import err, out
from infra.errors import UNEXPECTED, UnusableInputError

if TYPE_CHECKING:
    # The simulator brings all handlers with it: only a run pays for them, not the help.
    from simulator.plan import Plan
    from simulator.result import Result

STDOUT: Final = "-"
STDIN: Final = "-"
RUN: Final = "The run"
INSTEAD: Final = "Instead of a scenario"
OUTPUT: Final = "What it leaves"

Scenario = Annotated[
    str | None,
    typer.Argument(
        metavar="[SCENARIO]", help="A scenario's name (see --list), or the path of a TOML file."
    ),
]
Guests = Annotated[
    int | None,
    typer.Option(metavar="N", help="Instances; else the scenario's.", rich_help_panel=RUN),
]
Hours = Annotated[
    float | None,
    typer.Option(
        metavar="H", help="Virtual hours under faults; else the scenario's.", rich_help_panel=RUN
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="S", help="What all chance comes from; else the scenario's.", rich_help_panel=RUN
    ),
]
Faults = Annotated[
    str | None,
    typer.Option(
        metavar="F1=0.2,F5|swarm|none",
        help="Fault classes with their strengths (none given: the middle of the range), a mix "
        "drawn from the seed, or no fault; else the scenario's.",
        rich_help_panel=RUN,
    ),
]
Replay = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|-",
        help="Run the plan in a file of --save-plan or --json again; - is stdin.",
        rich_help_panel=INSTEAD,
    ),
]
Listed = Annotated[
    bool,
    typer.Option(
        "--list", help="Show the scenarios and the fault classes.", rich_help_panel=INSTEAD
    ),
]
JsonFile = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE|-",
        help="The whole result for programs; with - nothing else goes to stdout.",
        rich_help_panel=OUTPUT,
    ),
]
HtmlFile = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="A report for a browser: one file, no network.",
        rich_help_panel=OUTPUT,
    ),
]
PlanFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The plan, for --replay.", rich_help_panel=OUTPUT),
]
ShortestFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="When a promise breaks: the shortest plan that still breaks it, for --replay.",
        rich_help_panel=OUTPUT,
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Run the plan in a second process too, under another hash seed, and compare the "
        "traces (L9).",
        rich_help_panel=RUN,
    ),
]
Shrink = Annotated[float, typer.Option(metavar="SECONDS", help=shrinking.HELP, rich_help_panel=RUN)]


def command(
    scenario: Scenario = None,
    guests: Guests = None,
    hours: Hours = None,
    seed: Seed = None,
    faults: Faults = None,
    replay: Replay = None,
    listed: Listed = False,
    json_file: JsonFile = None,
    html_file: HtmlFile = None,
    save_plan: PlanFile = None,
    save_shortest: ShortestFile = None,
    verify: Verify = False,
    shrink: Shrink = shrinking.SECONDS,
) -> None:
    """Run a fleet in virtual time, break it on purpose, and check what must still hold.

    The shipped handlers and guest agents run against a simulated AWS and cloud. The faults act
    first, then heal; at the end every promise (invariant) is checked. The same plan and seed give
    the same run, event by event.

    The exit code is **0** when every reached invariant holds, **1** when one is broken, **2** when
    the input cannot be used, **70** when an error that nobody expected was raised, **130** after
    Ctrl-C. A failure comes with its seed, its faults, the command that repeats it, the shortest
    plan that still fails, and the timeline of the instance. The verdicts, the scenario files and
    the JSON document are explained in docs/simulator/README.md.

    Examples:

    * `coffer simulate --list`
    * `coffer simulate chaos --guests 100 --hours 6 --seed 7 --html report.html`
    * `coffer simulate chaos --faults F1=0.2,F5=0.05 --save-plan plan.json`
    * `coffer simulate --replay plan.json --json -`
    """
    if listed:
        _list()
        return
    for path in (html_file, save_plan, save_shortest, _file(json_file)):
        _require_writable(path)
    shrinking.require(shrink)
    # A handler that writes to stdout must not end up in a program's JSON.
    with contextlib.redirect_stdout(sys.stderr):
        plan = _chosen(scenario, replay, guests, hours, seed, faults)
        source = [scenario] if scenario is not None else ["--replay", str(replay)]
        given = Given(source, verify, shrink)
        if save_plan is not None:
            _save(plan, save_plan)
        result = attempt.run(plan, given)
    console = err if json_file == STDOUT else out
    if json_file != STDOUT:
        summary.show(result, out)
    interrupted = attempt.shorten(result, plan, given)
    _write(result, json_file, html_file)
    saved = _save_shortest(result, save_shortest)
    if json_file != STDOUT:
        _say_where(_file(json_file), html_file, save_plan, saved)
    attempt.tell(result, plan, given, console)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if result.broken():
        raise typer.Exit(BROKEN)
    if result.errors:
        raise typer.Exit(UNEXPECTED)


# --------------------------------------------------------------------------------- the plan


def _chosen(
    scenario: str | None,
    replay: Path | None,
    guests: int | None,
    hours: float | None,
    seed: int | None,
    faults: str | None,
) -> "Plan":
    """The plan that the arguments describe, with its swarm drawn; UnusableInputError."""
    from simulator import plan as plans

    if (scenario is None) == (replay is None):
        both = "Give a scenario or --replay FILE, not both."
        neither = "What should be simulated? Give a scenario, or --replay FILE."
        raise UnusableInputError(
            neither if scenario is None else both, "coffer simulate --list shows the scenarios."
        )
    try:
        plan = _read(replay) if replay is not None else plans.load_scenario(scenario or "")
        plan = plans.with_options(plan, guests=guests, hours=hours, seed=seed, faults=faults)
        return plans.drawn(plan)
    except plans.PlanError as error:
        raise UnusableInputError(str(error), _advice(replay)) from error


def _read(replay: Path) -> "Plan":
    from simulator import plan as plans

    if str(replay) == STDIN:
        return plans.parsed(sys.stdin.buffer.read(), "stdin")
    return plans.read(replay)


def _advice(replay: Path | None) -> str:
    if replay is not None:
        return "Give a file that --save-plan or --json wrote."
    return "coffer simulate --list shows the scenarios and the fault classes with their ranges."


def _list() -> None:
    """Show what there is to choose from."""
    from simulator import plan as plans
    from simulator.faults import REGISTRY

    try:
        found = plans.scenarios()
    except plans.PlanError as error:
        raise UnusableInputError(str(error), "Correct or remove the file.") from error
    scenarios = _table("scenario", "what happens")
    for name, title in found.items():
        scenarios.add_row(f"[bold]{escape(name)}[/]", escape(title))
    faults = _table("fault", "class", "strength")
    for id_, fault in REGISTRY.items():
        low, high = fault.range
        strength = f"{low:g} to {high:g}, {fault.unit}" if fault.reached else "not reached yet"
        faults.add_row(f"[bold]{id_}[/]", escape(fault.title), f"[dim]{escape(strength)}[/]")
    out.print(scenarios)
    out.print()
    out.print(faults)
    out.print("\nForms that no run exercises yet:")
    for id_, fault in REGISTRY.items():
        if lacking := fault.missing or fault.reason:
            out.print(f"[bold]{id_}[/]  [dim]{escape(lacking)}[/]", highlight=False)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column)
    return table


# ------------------------------------------------------------------------------- the output


def _file(name: str | None) -> Path | None:
    return None if name in (None, STDOUT) else Path(str(name))


def _require_writable(path: Path | None) -> None:
    """Refuse a path before hours were simulated, not after."""
    if path is None:
        return
    if path.is_dir():
        raise UnusableInputError(f"{path} is a folder.", "Name a file in it.")
    if not path.parent.is_dir():
        raise UnusableInputError(f"There is no folder {path.parent}.", f"mkdir -p {path.parent}")


def _save(plan: "Plan", path: Path) -> None:
    from simulator import plan as plans

    with _writing(path):
        plans.write(plan, path)


def _save_shortest(result: "Result", path: Path | None) -> Path | None:
    from simulator import plan as plans

    if path is None or result.shortest is None:
        return None
    _save(msgspec.convert(result.shortest.plan, plans.Plan), path)
    return path


def _write(result: "Result", json_file: str | None, html_file: Path | None) -> None:
    document = msgspec.json.encode(result)
    if json_file == STDOUT:
        sys.stdout.write(document.decode() + "\n")
    elif (path := _file(json_file)) is not None:
        with _writing(path):
            path.write_bytes(document + b"\n")
    if html_file is not None:
        from simulator.report import page

        with _writing(html_file):
            html_file.write_text(page(result), encoding="utf-8")


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnusableInputError(f"{path} cannot be written: {error.strerror}") from error


def _say_where(
    json_file: Path | None, html_file: Path | None, plan_file: Path | None, shortest: Path | None
) -> None:
    names = ("Report", "Result", "Plan", "Shortest plan")
    for name, path in zip(names, (html_file, json_file, plan_file, shortest), strict=True):
        if path is not None:
            out.print(f"{name}  {escape(str(path))}")
