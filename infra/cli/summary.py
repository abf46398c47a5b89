"""A run's result on a terminal: what was done and broken, what held, what it cost."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.cli.console import prose
from infra.cli.failures import rule
from simulator.report.headline import headline, speed
from simulator.report.words import compact, count, duration, many, money, ordered, service
from simulator.result import ActionResult, Result

VERDICTS: Final = {"holds": "[green]✓[/]", "broken": "[red]✗[/]", "not reached": "[dim]·[/]"}
COLOURS: Final = {"good": "green", "bad": "red", "idle": "yellow"}
WIDEST: Final = 1000
"""Wider than any table: how wide one would be if it could."""

Columns = Mapping[str, Callable[[ActionResult], str]]
ACTIONS: Final[Columns] = {
    "accepted": lambda each: count(each.accepted),
    "succeeded": lambda each: count(each.succeeded),
    "failed": lambda each: count(each.failed),
    "cancelled": lambda each: count(each.cancelled),
    "p50": lambda each: duration(each.latency_p50),
    "p95": lambda each: duration(each.latency_p95),
    "p99": lambda each: duration(each.latency_p99),
    "longest": lambda each: duration(each.latency_max),
}


def show(result: Result, console: Console) -> None:
    """The tables and the verdict."""
    _head(result, console)
    _operations(result, console)
    _faults(result, console)
    _invariants(result, console)
    _calls(result, console)
    console.print()
    prose(_verdict(result), console)


def _mix(result: Result) -> dict[str, float]:
    return {
        id_: strength
        for id_ in ordered(list(result.faults))
        if (strength := result.faults[id_].strength) is not None
    }


def _head(result: Result, console: Console) -> None:
    rule(f"{result.scenario}, seed {result.seed}", console)
    prose(
        f"{many(result.guests, 'guest')}, {duration(result.virtual_seconds)} in "
        f"{duration(result.wall_seconds)}: {compact(round(speed(result)))} virtual seconds a "
        f"second, {compact(result.events)} events",
        console,
    )
    console.print(f"[dim]trace {result.trace_hash}[/]")


def _operations(result: Result, console: Console) -> None:
    rule("Operations", console)
    for table in _fitting(result, console):
        _print(table, console)
    replies = ", ".join(f"{code}: {count(n)}" for code, n in sorted(result.replies.items()))
    prose(f"[dim]replies of the API  {escape(replies) or 'none'}[/]", console)
    console.print(f"[dim]retries             {count(result.retries)}[/]")


def _fitting(result: Result, console: Console) -> Iterator[Table]:
    """One table; more where the terminal has no room for all of its columns."""
    room = console.options.update_width(WIDEST)
    columns: Columns = {}
    for title, column in ACTIONS.items():
        more = {**columns, title: column}
        too_wide = console.measure(_actions(result, more), options=room).maximum > console.width
        if columns and too_wide:
            yield _actions(result, columns)
            more = {title: column}
        columns = more
    yield _actions(result, columns)


def _actions(result: Result, columns: Columns) -> Table:
    table = _table("action", *columns)
    for name, each in sorted(result.operations.items()):
        table.add_row(escape(name), *(column(each) for column in columns.values()))
    return table


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
        prose(f"[dim]not reached: {', '.join(ids)} ({escape(reason)})[/]", console)


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
        prose(f"[dim]- {escape(assumption)}[/]", console)


def _verdict(result: Result) -> str:
    verdict = headline(result)
    return ", ".join((f"[{COLOURS[verdict.kind]} bold]{verdict.title}[/]", *verdict.remarks))


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _print(table: Table, console: Console) -> None:
    console.print(table if table.row_count else "none")
