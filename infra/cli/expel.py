"""`coffer expel`: a stolen guest is worth nothing from now on."""

import os
import time
from typing import Annotated, Final

import typer

from infra import sessions
from infra.cli.console import out
from infra.cli.trove import Api
from infra.deploy import Target
from infra.errors import UnusableInputError
from infra.local import stack
from infra.local.cloud import authenticate
from infra.local.settings import STACK_NAME, load_secrets, resolve

VARIABLES: Final = ("OS_AUTH_URL", "OS_USERNAME", "OS_PROJECT_NAME", "OS_PASSWORD")


def command(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="The instance's id.")],
    region: Annotated[
        str | None,
        typer.Option(
            metavar="REGION",
            help="An AWS account, with the environment's credentials, and an administrator's OS_* "
            "variables; else the local stack.",
        ),
    ] = None,
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
    target, api = _deployment(region)
    path = f"/mgmt/instances/{instance}"
    api.call("POST", f"{path}/action", json={"expel": {}})
    present = api.call("GET", path)["instance"]["guest_status"]["generation"]
    sessions.deny(target.client("iam"), f"{prefix}-guest", instance, present, time.time())
    out.print(f"[green]✓[/] The guest of {instance} is expelled; nothing that it has is accepted.")
    out.print(f"Next: openstack database instance rebuild {instance} IMAGE")


def _deployment(region: str | None) -> tuple[Target, Api]:
    """Where the role is, and the Trove API for an administrator."""
    if region is None:
        settings = resolve()
        stack.require_running(settings)
        password = load_secrets(settings).admin_password
        return settings.target, Api.log_in(settings.auth_url, "admin", password)
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise UnusableInputError(f"--region goes with {', '.join(missing)} in the environment.")
    token = authenticate(*(os.environ[name] for name in VARIABLES))
    return Target(region), Api(token.endpoint("database"), token.project_id, token.id)
