"""The tables in which the benches show their figures."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table

console: Final = Console(width=110)


def table(title: str, *columns: str) -> Table:
    """A table with its first column as text and the others as figures."""
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left")
    return made
