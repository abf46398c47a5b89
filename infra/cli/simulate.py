"""`coffer simulate`: a fleet in virtual time, broken on purpose, and whether its promises hold."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from infra.cli import attempt, chosen, listing, shrinking, summary
from infra.cli.attempt import BROKEN, INTERRUPTED, Given
from infra.cli.console import err, out
from infra.cli.files import Files
from infra.errors import UNEXPECTED, UnusableInputError

if TYPE_CHECKING:
    # The simulator brings all handlers with it: only a run pays for them, not the help.
    from simulator.plan import Plan
    from simulator.result import Result

RUN: Final = "The run"
INSTEAD: Final = "Instead of a scenario"
OUTPUT: Final = "What it leaves"

Scenario = Annotated[
    str | None,
    typer.Argument(
        metavar="SCENARIO", help="A scenario's name (see --list), or the path of a TOML file."
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
        "--list",
        help="Show the scenarios, the fault classes and the invariants.",
        rich_help_panel=INSTEAD,
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
    the input cannot be used or a file cannot be written, **70** when an error that nobody expected
    was raised, **130** after Ctrl-C. A failure comes with its seed, its faults, the command that
    repeats it, the shortest plan that still fails, and the timeline of the instance. The verdicts,
    the scenario files and the JSON document are explained in docs/simulator/README.md.

    Examples:

    * `coffer simulate --list`
    * `coffer simulate chaos --guests 20 --hours 1 --seed 7 --html report.html`
    * `coffer simulate chaos --faults F1=0.2,F5=0.05 --save-plan plan.json`
    * `coffer simulate smoke --verify --json result.json`
    * `coffer simulate --replay result.json`
    """
    if listed:
        listing.show()
        return
    files = Files(json_file, html_file, save_plan, save_shortest)
    files.require_writable()
    shrinking.require(shrink)
    # A handler that writes to stdout must not end up in a program's JSON.
    with contextlib.redirect_stdout(sys.stderr):
        plan = _drawn(
            chosen.plan(scenario, replay, guests=guests, hours=hours, seed=seed, faults=faults)
        )
        source = [scenario] if scenario is not None else ["--replay", str(replay)]
        given = Given(source, verify, shrink)
        files.write_plan(plan)
        result = attempt.run(plan, given)
    if not files.on_stdout:
        summary.show(result, out)
    interrupted = attempt.shorten(result, plan, given)
    # What failed is told first: a full disk must not keep it back.
    attempt.tell(result, plan, given, err if files.on_stdout else out)
    written = files.write(result)
    if code := _code(result, interrupted=interrupted, written=written):
        raise typer.Exit(code)


def _drawn(plan: "Plan") -> "Plan":
    from simulator import plan as plans

    return plans.drawn(plan)


def _code(result: "Result", *, interrupted: bool, written: bool) -> int:
    """The exit code; what weighs most comes first."""
    if interrupted:
        return INTERRUPTED
    if result.broken():
        return BROKEN
    if result.errors:
        return UNEXPECTED
    return 0 if written else UnusableInputError.exit_code
