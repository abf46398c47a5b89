"""`coffer expel`: stolen guests are worth nothing from now on."""

import time
from typing import Annotated

import typer

from infra import sessions
from infra.cli import deployments, options
from infra.cli.console import out


def command(
    instances: Annotated[list[str], typer.Argument(metavar="INSTANCE...", help="Instances' ids.")],
    stack: options.ChosenStack = None,
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
) -> None:
    """End the guests of instances at once: their servers, or what they know, are somebody else's.

    Their messages and renewals are refused, their queues and keys are deleted, and their AWS
    sessions may do nothing more. The instances go to ERROR and say so; their volumes stay as they
    are. Name all of a stolen host in one command: IAM has room for some forty denials an hour.

    What comes next: openstack database instance rebuild INSTANCE IMAGE. It wipes the server, and a
    new guest goes on with the data.
    """
    deployment = deployments.chosen(stack, profile, region, os_cloud)
    api = deployment.log_in()
    present: dict[str, int] = {}
    try:
        for instance in dict.fromkeys(instances):
            path = f"/mgmt/instances/{instance}"
            api.call("POST", f"{path}/action", json={"expel": {}})
            present[instance] = api.call("GET", path)["instance"]["guest_status"]["generation"]
            out.print(
                f"[green]✓[/] The guest of {instance} is expelled; nothing of it is accepted."
            )
    finally:  # also of those that were expelled before one could not be
        if present:
            iam = deployment.target.client("iam")
            sessions.deny(iam, f"{deployment.name}-guest", present, time.time())
            out.print("[green]✓[/] Their AWS sessions may do nothing more.")
    out.print(f"Next: openstack database instance rebuild {instances[0]} IMAGE")
