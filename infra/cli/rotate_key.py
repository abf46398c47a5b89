"""`coffer rotate-key`: gives a deployment new master keys while it works."""

import time
from typing import Annotated

import typer

from infra.cli import deployments, options
from infra.cli.console import ConsoleProgress, out
from infra.errors import UnusableInputError
from infra.keyrings import KeyRings


def command(
    retire: Annotated[
        bool,
        typer.Option("--retire", help="Remove the old versions, 15 days after they were replaced."),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="With --retire: at once. What they sealed and nobody opened is lost."
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Rotate even though a rotation ended within the last hour."),
    ] = False,
    no_wait: Annotated[
        bool,
        typer.Option("--no-wait", help="Distribute only; the same command later does the rest."),
    ] = False,
    stack: options.ChosenStack = None,
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
) -> None:
    """Rotate the master keys without losing a message: distribute, wait, use.

    A new version is added to the deployment's parameters guest-keys, control-keys, backup-keys and
    container-keys; nothing is sealed with it yet. Six minutes later every function has read it, and
    it becomes the current one. Guests get its keys at their next renewal, or at the first command
    that needs them.

    The old versions go on opening what they have sealed, until `coffer rotate-key --retire`. Those
    of backup-keys and container-keys are never retired, also with --force: backups that they sealed
    could be opened by nobody any more. What a leaked one has sealed is made safe by deleting the
    backup.

    Stop the command whenever you like and run it again: it goes on where it was. After a leak run
    it, then --retire --force as soon as the queues are empty.
    """
    if force and not retire:
        raise UnusableInputError("--force goes with --retire.")
    deployment = deployments.chosen(stack, profile, region, os_cloud)
    ssm = deployment.target.client("ssm")
    rings = KeyRings(ssm, deployment.secrets_path, ConsoleProgress().say)
    if retire:
        rings.retire(time.time(), forced=force)
        return
    usable_at = rings.distribute(time.time(), again=again)
    if usable_at is None:
        out.print("Nothing to do: the keys were rotated within the last hour (--again rotates).")
        return
    if no_wait and usable_at > time.time():
        out.print(f"Run the command again in {usable_at - time.time():.0f} s or later.")
        return
    _wait_until(usable_at)
    rings.use(time.time())
    out.print("[green]✓[/] New messages are sealed with the new keys.")


def _wait_until(moment: float) -> None:
    """Sleep until every function has read the new version: there is no event to wait for."""
    seconds = moment - time.time()
    if seconds > 0:
        with ConsoleProgress().step(f"Every function reads the new version ({seconds:.0f} s)"):
            time.sleep(seconds)
