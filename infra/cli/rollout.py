"""`coffer rollout`: instances are rebuilt on an image, so many at a time."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Final

import requests
import typer
from rich.markup import escape

from infra.cli import deployments, options
from infra.cli.console import out
from infra.cli.deployments import Deployment, Session
from infra.errors import StackError

LOOK_SECONDS: Final = 5.0
MOST_FAILED: Final = 60
"""Looks in a row: what is away for longer than five minutes has somebody to look at it."""
DONE: Final = "COMPLETED"


def command(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="The image's id.")],
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="The datastore version that it is of.")
    ],
    at_once: Annotated[int, typer.Option(min=1, max=50, help="So many are rebuilt at a time.")] = 1,
    tolerate: Annotated[
        int, typer.Option(min=0, max=1000, help="More failures than that stop it.")
    ] = 0,
    project: Annotated[str | None, typer.Option(metavar="ID", help="Of one project alone.")] = None,
    stack: options.ChosenStack = None,
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
) -> None:
    """Rebuild every instance of a datastore version on an image, with its data kept.

    Each is away for the minutes of its rebuild. What was rebuilt on the image already is left
    alone, and so is what is in ERROR or at something else: ask again to take the rest.

    Ctrl-C stops the watching alone. To stop the rollout: DELETE mgmt/rollouts/ID.
    The exit code is 0 when it has gone through, 1 when it was stopped.
    """
    deployment = deployments.chosen(stack, profile, region, os_cloud)
    asked: dict[str, Any] = {"image_id": image, "datastore_version": version}
    asked |= {"at_once": at_once, "tolerate": tolerate}
    if project is not None:
        asked["project_id"] = project
    run(deployment, deployment.log_in(), asked)


def run(deployment: Deployment, api: Session, asked: dict[str, Any]) -> None:
    """Begin a rollout, and watch it to its end; exits with 1 when it did not come to it."""
    begun = api.call("POST", "/mgmt/rollouts", json={"rollout": asked})["rollout"]
    out.print(f"Rollout {begun['id']}")
    ended = _watch(api, begun["id"], deployment.log_in)
    for which in ("failed", "skipped"):
        if named := ended.get(f"{which}_instances"):
            out.print(f"{which}: {', '.join(named)}", soft_wrap=True)
    if ended["status"] != DONE:
        out.print(f"[red]✗[/] {ended['status']}: {escape(ended['fault']['message'])}")
        raise typer.Exit(1)
    out.print(f"[green]✓[/] {DONE}")


def _watch(api: Session, rollout_id: str, log_in: Callable[[], Session]) -> dict[str, Any]:
    """Tell how far it is, as often as that changes, until it has ended.

    A token is good for an hour and a rollout takes a day at most: a look that fails is tried again
    with another one, a few times in a row.
    """
    told, failed = "", 0
    while True:
        try:
            seen: dict[str, Any] = api.call("GET", f"/mgmt/rollouts/{rollout_id}")["rollout"]
            failed = 0
        except (StackError, requests.RequestException):
            failed += 1
            if failed > MOST_FAILED:
                raise
            time.sleep(LOOK_SECONDS)
            with suppress(requests.RequestException, StackError):
                api = log_in()
            continue
        counts = (f"{seen[name]} {name}" for name in ("rebuilt", "failed", "skipped"))
        line = ", ".join((*counts, f"{len(seen['under_way'])} under way"))
        if line != told:
            out.print(line)
            told = line
        if seen["status"] != "RUNNING":
            return seen
        time.sleep(LOOK_SECONDS)
