"""`coffer expel`: a stolen guest is worth nothing from now on."""

import time
from typing import Annotated

import typer

from infra import sessions
from infra.cli.administrator import REGION_HELP, deployment
from infra.cli.console import out
from infra.local.settings import STACK_NAME


def command(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="The instance's id.")],
    region: Annotated[str | None, typer.Option(metavar="REGION", help=REGION_HELP)] = None,
    prefix: Annotated[
        str, typer.Option(metavar="PREFIX", help="Of the deployment's names.")
    ] = STACK_NAME,
) -> None:
    """End the guest of an instance at once: its server, or what it knows, is somebody else's.

    Its messages and renewals are refused, its queue and key are deleted, its AWS session may do
    nothing more. The instance goes to ERROR and says so; its volume stays as it is.

    What comes next: openstack database instance rebuild INSTANCE IMAGE. It wipes the server, and a
    new guest goes on with the data.
    """
    target, api = deployment(region)
    path = f"/mgmt/instances/{instance}"
    api.call("POST", f"{path}/action", json={"expel": {}})
    present = api.call("GET", path)["instance"]["guest_status"]["generation"]
    sessions.deny(target.client("iam"), f"{prefix}-guest", instance, present, time.time())
    out.print(f"[green]✓[/] The guest of {instance} is expelled; nothing that it has is accepted.")
    out.print(f"Next: openstack database instance rebuild {instance} IMAGE")
