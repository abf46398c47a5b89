"""A run's result on a terminal: what was done and broken, what held, what it cost."""

from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.cli.failures import rule
from infra.cli.shrinking import many
from simulator.report.words import (
    compact,
    count,
    duration,
    money,
    ordered,
    service,
    share,
)
from simulator.result import Result

VERDICTS: Final = {"holds": "[green]✓[/]", "broken": "[red]✗[/]", "not reached": "[dim]·[/]"}


def show(result: Result, console: Console) -> None:
    """The tables and the verdict."""
    _head(result, console)
    _operations(result, console)
    _faults(result, console)
    _invariants(result, console)
    _calls(result, console)
    console.print()
    console.print(_verdict(result))
    if result.errors:
        console.print(f"[red bold]{many(len(result.errors), 'unexpected error')}[/]")


def _mix(result: Result) -> dict[str, float]:
    return {
        id_: strength
        for id_ in ordered(list(result.faults))
        if (strength := result.faults[id_].strength) is not None
    }


def _head(result: Result, console: Console) -> None:
    speed = result.virtual_seconds / result.wall_seconds if result.wall_seconds > 0 else 0.0
    rule(f"{result.scenario}, seed {result.seed}", console)
    console.print(
        f"{count(result.guests)} guests, {duration(result.virtual_seconds)} in "
        f"{duration(result.wall_seconds)}: {compact(round(speed))} virtual seconds a second, "
        f"{compact(result.events)} events"
    )
    console.print(f"[dim]trace {result.trace_hash}[/]")


def _operations(result: Result, console: Console) -> None:
    rule("Operations", console)
    table = _table("action", *("accepted", "succeeded", "failed", "cancelled"))
    for column in ("p50", "p95", "p99", "longest"):
        table.add_column(column, justify="right")
    for name, each in sorted(result.operations.items()):
        numbers = (each.accepted, each.succeeded, each.failed, each.cancelled)
        latencies = (each.latency_p50, each.latency_p95, each.latency_p99, each.latency_max)
        table.add_row(escape(name), *map(count, numbers), *map(duration, latencies))
    _print(table, console)
    replies = ", ".join(f"{code}: {count(n)}" for code, n in sorted(result.replies.items()))
    console.print(f"[dim]replies of the API  {escape(replies) or 'none'}[/]")
    console.print(f"[dim]retries             {count(result.retries)}[/]")


def _faults(result: Result, console: Console) -> None:
    rule("Faults", console)
    table = _table("fault", "strength", "injected")
    for id_, strength in _mix(result).items():
        fault = result.faults[id_]
        table.add_row(f"{id_:<4} {escape(fault.title)}", f"{strength:.3g}", count(fault.injected))
    _print(table, console)
    reasons: dict[str, list[str]] = {}
    for id_ in ordered([id_ for id_, each in result.faults.items() if not each.reached]):
        reasons.setdefault(result.faults[id_].reason or "no reason given", []).append(id_)
    for reason, ids in reasons.items():
        console.print(f"[dim]not reached: {', '.join(ids)} ({escape(reason)})[/]")


def _invariants(result: Result, console: Console) -> None:
    rule("Invariants", console)
    table = Table.grid(padding=(0, 2, 0, 0))
    for id_ in ordered(list(result.invariants)):
        each = result.invariants[id_]
        title, verdict = escape(each.title), f"[dim]{each.verdict}[/]"
        if each.verdict != "holds":
            verdict = each.verdict
            title += f"\n[dim]{escape(each.reason)}[/]" if each.reason else ""
        table.add_row(VERDICTS[each.verdict], escape(id_), title, verdict)
    console.print(table)


def _calls(result: Result, console: Console) -> None:
    rule("Calls, and their cost at list prices", console)
    table = _table("service", "calls", "a guest-hour", "dollars a guest-month")
    calls = {service(name): sum(each.values()) for name, each in result.calls.items()}
    for name in sorted({*calls, *result.cost.by_service}):
        number = calls.get(name)
        each = number / result.guest_hours if number and result.guest_hours > 0 else None
        dollars = money(result.cost.by_service.get(name))
        table.add_row(escape(name), count(number), count(each), dollars)
    table.add_row("", "", "", f"[bold]{money(result.cost.per_guest_month)}[/]")
    _print(table, console)
    for assumption in result.cost.assumptions:
        console.print(f"[dim]- {escape(assumption)}[/]")


def _verdict(result: Result) -> str:
    verdicts = [each.verdict for each in result.invariants.values()]
    reached = len(verdicts) - verdicts.count("not reached")
    rest = f", {verdicts.count('not reached')} not reached"
    if broken := result.broken():
        return f"[red bold]{len(broken)} of {reached} reached invariants broken[/]{rest}"
    if not reached:
        return f"[yellow bold]No invariant was reached[/]{rest}"
    accepted = sum(each.accepted for each in result.operations.values())
    succeeded = sum(each.succeeded for each in result.operations.values())
    done = f"; {share(succeeded, accepted)} of the operations succeeded" if accepted else ""
    return f"[green bold]All {reached} reached invariants hold[/]{rest}{done}"


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _print(table: Table, console: Console) -> None:
    console.print(table if table.row_count else "none")
