"""`coffer simulate --list`: the scenarios, the fault classes, the invariants."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from infra.cli.console import out, prose
from infra.errors import UnusableInputError


def show() -> None:
    """Everything there is to choose from, and what is checked; UnusableInputError."""
    from simulator import plan as plans

    try:
        found = plans.scenarios()
    except plans.PlanError as error:
        raise UnusableInputError(str(error), "Correct or remove the file.") from error
    scenarios = _table("scenario", "what happens")
    for name, title in found.items():
        scenarios.add_row(f"[bold]{escape(name)}[/]", escape(title))
    for table in (scenarios, _faults(), _invariants()):
        out.print(table)
        out.print()
    _missing()


def _faults() -> Table:
    from simulator.faults import REGISTRY

    faults = _table("fault", "class", "strength")
    for id_, fault in REGISTRY.items():
        low, high = fault.range
        strength = f"{low:g} to {high:g}, {fault.unit}"
        faults.add_row(f"[bold]{id_}[/]", escape(fault.title), f"[dim]{escape(strength)}[/]")
    return faults


def _invariants() -> Table:
    from simulator.invariants import REGISTRY

    invariants = _table("invariant", "what must hold")
    for id_, invariant in REGISTRY.items():
        invariants.add_row(f"[bold]{id_}[/]", escape(invariant.title))
    return invariants


def _missing() -> None:
    from simulator.faults import REGISTRY

    out.print("Forms of the faults that no run exercises yet:")
    for id_, fault in REGISTRY.items():
        if lacking := fault.missing:
            prose(f"[bold]{id_}[/]  [dim]{escape(lacking)}[/]", out)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column)
    return table
