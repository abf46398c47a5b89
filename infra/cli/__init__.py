"""The command `coffer`: one module for each command."""

import sys
from importlib import import_module
from typing import Final

import typer

# Where each command is; a module is imported only when its command is run or its help is shown.
COMMANDS: Final = (
    *("deploy", "undeploy", "image"),
    *("up", "down", "status", "logs", "trace", "openrc", "demo"),
    *("datastores", "adopt", "expel", "rollout", "upgrade-agents", "rotate-key"),
    *("simulate", "swarm"),
)

app = typer.Typer(
    name="coffer",
    help=(
        "Coffer on this machine: a database-as-a-service control plane with an OpenStack Trove "
        "API, on an embedded AWS (MiniStack) and a local OpenStack.\n\n"
        "Everything lives in one state folder: $COFFER_STATE, or .coffer here."
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)


def main() -> None:
    """Entry point of the console script."""
    from infra.cli.console import failing_clearly

    named = [name for name in sys.argv[1:2] if name in COMMANDS]
    with failing_clearly():
        for name in named or COMMANDS:
            app.command(name)(import_module(f"infra.cli.{name.replace('-', '_')}").command)
        if named:
            # A single command would otherwise become the whole program.
            app.callback()(lambda: None)
        app()
