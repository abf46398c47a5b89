"""`coffer undeploy`: takes a deployment back."""

from typing import Annotated

import typer
from rich.markup import escape

from infra.cli import deployments, options
from infra.cli.console import ConsoleProgress, out
from infra.cli.deploy import show
from infra.deployment import checks
from infra.deployment.undeploy import require_no_instances, undeploy


def command(
    stack: options.Stack = "coffer",
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
    tables: Annotated[
        bool,
        typer.Option(
            "--tables",
            help="Remove also what outlives a stack: tables, all backups with their bucket, the "
            "rings of keys, the key in KMS.",
        ),
    ] = False,
    even_with_instances: Annotated[
        bool,
        typer.Option(
            "--even-with-instances",
            help="Though instances live: their servers and volumes stay in the cloud, unmanaged.",
        ),
    ] = False,
    without_cloud: Annotated[
        bool,
        typer.Option(
            "--without-cloud", help="Leave the catalog entry and the service users in Keystone."
        ),
    ] = False,
) -> None:
    """Remove a deployment: its catalog entry and users, the stack, its packages and secrets.

    It refuses while instances live. Tables that nothing could make again and the bucket of the
    backups stay, with the keys that open them, unless --tables is given. A bucket of your own
    (BackupsBucket) stays in any case.
    """
    survey = deployments.survey(stack, profile, region, os_cloud)
    cloud = () if without_cloud else ("keystone", "cloud-credentials", "same-cloud")
    show(checks.findings(survey, only=(*checks.OF_A_ROLLBACK, *cloud)))
    if not even_with_instances:
        require_no_instances(survey)
    done = undeploy(survey, ConsoleProgress(), tables=tables, with_cloud=not without_cloud)
    out.print("[green]✓[/] " + ("Removed." if done.found else f"There was no stack {stack}."))
    if done.tables:
        out.print(f"\nThese tables stay, with their keys: {escape(', '.join(done.tables))}")
    if done.backups:
        out.print(f"\nThe bucket stays, with the backups in it: {escape(done.backups)}")
    if done.tables or (done.backups and not tables):
        out.print("\ncoffer undeploy --tables removes what stays. It cannot be undone.")
    elif done.backups:
        out.print("It is your own; without the rings of keys nobody opens what is in it.")
    if done.commands:
        out.print("\nThe catalog still leads there. An administrator of the cloud runs:")
        for line in done.commands:
            out.print(line, markup=False)
