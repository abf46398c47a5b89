"""What a failure says: the seed, the faults, the commands that give it again, and timelines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console
from rich.markup import escape

from infra.cli.console import prose
from simulator.report.words import duration, many, ordered, size, violation
from simulator.result import InvariantResult, Result, Shortest, ViolationResult

if TYPE_CHECKING:
    from simulator.plan import Plan

MOST_VIOLATIONS: Final = 3
"""Of one invariant; the JSON document and the report have more."""
MOST_LINES: Final = 80
"""The end of a timeline tells most."""


def show_head(plan: Plan, again: str, console: Console) -> None:
    """What reproduces a run."""
    console.print(f"seed   {plan.seed}")
    prose(f"faults {mix(plan.faults)}", console)
    for outage in plan.outages:
        console.print(
            f"outage {outage.service}, {outage.minutes:g} min from minute {outage.at_minutes:g}"
        )
    console.print(f"replay {escape(again)}")


def mix(faults: Mapping[str, float]) -> str:
    """Fault classes with their strengths."""
    return ", ".join(f"{name}={faults[name]:g}" for name in ordered(list(faults))) or "none"


def show(result: Result, plan: Plan, again: str, console: Console) -> None:
    """What reproduces the run, each broken promise, and the timeline of its instance.

    The promise that a shorter plan breaks has its timeline there.
    """
    rule("Broken" if result.broken() else "Unexpected errors", console)
    show_head(plan, again, console)
    elsewhere = result.shortest.what if result.shortest is not None else None
    for id_ in ordered(result.broken()):
        invariant = result.invariants[id_]
        console.print(f"\n[red bold]{escape(id_)}[/]  {escape(invariant.title)}")
        _violations(invariant, console, timelines=id_ != elsewhere)
    for error in result.errors[:MOST_VIOLATIONS]:
        console.print(f"\n[red bold]{escape(error.kind)}[/] in {escape(error.who)}")
        console.print(f"[dim]{escape(error.text)}[/]")
    if (more := len(result.errors) - MOST_VIOLATIONS) > 0:
        console.print(f"  and {more} more; --json has them")


def _violations(invariant: InvariantResult, console: Console, *, timelines: bool) -> None:
    told: set[str] = set()
    for each in invariant.violations[:MOST_VIOLATIONS]:
        console.print(f"  {escape(violation(each))}")
        # Of several violations in the life of one instance, the first shows it.
        if timelines and each.timeline and each.timeline[0] not in told:
            told.add(each.timeline[0])
            show_timeline(each, console)
    if (more := len(invariant.violations) - MOST_VIOLATIONS) > 0:
        console.print(f"  and {more} more; --json and --html have them")


def show_timeline(each: ViolationResult, console: Console) -> None:
    """The life of the instance around it."""
    if len(each.timeline) > MOST_LINES:
        console.print(f"    [dim]… {len(each.timeline) - MOST_LINES} lines before[/]")
    for line in each.timeline[-MOST_LINES:]:
        console.print(f"    [dim]{escape(line)}[/]")


def show_shortest(
    found: Shortest, before: Plan, command: Callable[[Plan], str], console: Console
) -> None:
    """The shortest plan that still fails, the command that runs it, and the timeline there."""
    plan = msgspec.convert(found.plan, type(before))
    rule(f"The shortest plan with the same failure, {found.what}", console)
    tried = f"{many(found.runs, 'run')} in {duration(found.wall_seconds)}"
    if plan == before:
        console.print(f"none is shorter than this one ({tried})")
    else:
        console.print(f"of     {size(msgspec.to_builtins(before))}")
        console.print(f"left   {size(found.plan)}{_rest(plan, before)} ({tried})")
        console.print(f"faults {mix(plan.faults)}")
        console.print(f"[bold]run    {escape(command(plan))}[/]")
    if not found.complete:
        console.print("[dim]not every smaller plan was tried; --shrink gives it more time[/]")
    console.print(f"\n  {escape(violation(found.violation))}")
    show_timeline(found.violation, console)


def _rest(plan: Plan, before: Plan) -> str:
    return "".join(f", {each}" for each in _differences(plan, before))


def _differences(plan: Plan, before: Plan) -> Iterator[str]:
    """What else is smaller."""
    rate = plan.workload.operations_per_guest_hour
    if rate != before.workload.operations_per_guest_hour:
        yield f"{rate:g} requests for each guest and hour" if rate else "no requests"
    if plan.workload.mix and plan.workload.mix != before.workload.mix:
        yield f"only {', '.join(plan.workload.mix)}"
    if plan.empty_at_end != before.empty_at_end:
        yield "not emptied"


def rule(title: str, console: Console) -> None:
    """A line that opens a section."""
    console.print()
    console.rule(escape(title), align="left")
