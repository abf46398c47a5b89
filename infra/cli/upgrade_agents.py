"""`coffer upgrade-agents`: guests go on as another release of their agent; databases go on."""

import platform
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from infra import packages_bucket
from infra.cli import deployments, options, rollout
from infra.cli.console import ConsoleProgress, out
from infra.cli.deployments import Session
from infra.errors import StackError, UnusableInputError
from infra.image import bundle
from infra.package.sources import PROJECT_ROOT

LOOK_SECONDS: Final = 2.0
MOST_LOOKS: Final = 600
"""More than an operation can take."""
ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


def command(
    instances: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INSTANCE]...", help="Ids: one after the other, until one fails."),
    ] = None,
    everywhere: Annotated[
        bool, typer.Option("--all", help="All of the fleet, or of the --project.")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="A bundle of `coffer image`; else one is made of the sources here.",
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(metavar="3.N", help="The Python of the guests, of a bundle that is made."),
    ] = None,
    at_once: Annotated[
        int, typer.Option("--batch", min=1, max=50, help="With --all, so many at a time.")
    ] = 1,
    tolerate: Annotated[
        int, typer.Option(min=0, max=1000, help="With --all: more failures than that stop it.")
    ] = 0,
    project: Annotated[
        str | None, typer.Option(metavar="ID", help="With --all: of one project alone.")
    ] = None,
    stack: options.ChosenStack = None,
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
) -> None:
    """Upgrade the agents of guests in place. Their databases and connections go on.

    The bundle goes to the deployment's bucket. Each guest fetches it, looks at its SHA-256,
    installs it beside the release that runs, and goes on as it. A release that does not prove
    itself within some minutes is given up: the one of before runs again, and the operation fails.

    An agent of a release before 3 cannot: rebuild its instance on a newer image (coffer rollout).
    The way back is the same command with the --bundle of before.

    Ctrl-C stops the watching alone. The exit code is 0 when all of it was done.
    """
    if bool(instances) == everywhere:
        raise UnusableInputError("Name the instances, or give --all.")
    deployment = deployments.chosen(stack, profile, region, os_cloud)
    api = deployment.log_in()
    with tempfile.TemporaryDirectory(prefix="coffer-agent-") as scratch:
        made = _bundle(file, python or _python_of(stack), Path(scratch))
        with ConsoleProgress().step(f"The bundle {made.version} in the deployment's bucket"):
            packages_bucket.lend_agent(deployment.target, deployment.name, made)
        size = made.file.stat().st_size
    named = {"version": made.version, "sha256": made.sha256, "size": size}
    if everywhere:
        asked: dict[str, Any] = {"agent": named, "at_once": at_once, "tolerate": tolerate}
        rollout.run(deployment, api, asked | ({"project_id": project} if project else {}))
        return
    if not all(_upgrade(api, each, named) for each in instances or ()):
        raise typer.Exit(1)


def _python_of(stack: str | None) -> str:
    """A guest of the local cloud has this machine's."""
    this = ".".join(platform.python_version_tuple()[:2])
    return this if stack is None else bundle.PYTHON_VERSION


def _bundle(file: Path | None, python: str, scratch: Path) -> bundle.Bundle:
    if file is not None:
        return bundle.read(file)
    with ConsoleProgress().step(f"The guest agent's bundle, for Python {python}"):
        return bundle.make(PROJECT_ROOT, scratch, python)


def _upgrade(api: Session, instance: str, named: dict[str, Any]) -> bool:
    """Ask for one, and watch it to its end; whether it has succeeded."""
    body = {"upgrade_agent": named}
    api.call("POST", f"/mgmt/instances/{instance}/action", json=body)
    for _ in range(MOST_LOOKS):
        path = f"/instances/{instance}/operations?limit=1"
        (newest,) = api.call("GET", path)["operations"]
        if newest["status"] in ENDED:
            break
        time.sleep(LOOK_SECONDS)
    else:
        raise StackError(f"{instance} is not at its end.", f"Look at it: GET {path}")
    if newest["status"] == "SUCCEEDED":
        out.print(f"[green]✓[/] {instance} has {named['version']}")
        return True
    shown = api.call("GET", f"/instances/{instance}")["instance"]
    reason = (shown.get("fault") or {}).get("message", newest["status"])
    out.print(f"[red]✗[/] {instance}: {escape(reason)}")
    return False
