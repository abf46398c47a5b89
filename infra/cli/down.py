"""`coffer down`: stops everything that belongs to the local stack."""

from typing import Annotated

import typer

from infra.cli.console import ConsoleProgress, out
from infra.local import stack
from infra.local.settings import resolve


def command(
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove the state folder too: logs, settings, secrets.")
    ] = False,
) -> None:
    """Stop the local cloud with its database servers, then MiniStack.

    A stack on an endpoint of somebody else (`coffer up --endpoint`) is removed from there instead.

    The instances of the stack end with it, and their backups. Logs, settings and passwords stay in
    the state folder unless --purge is given.
    """
    settings = resolve()
    if stack.down(settings, ConsoleProgress(), purge=purge):
        out.print(f"[green]✓[/] Nothing of the stack in {settings.state} runs any more.")
    else:
        out.print(f"No stack is up in {settings.state}.")
    if purge:
        out.print(f"Removed {settings.state}.")
