"""`coffer openrc`: the variables that lead OpenStack and AWS clients to the local stack."""

import shlex
import sys
from typing import Annotated

import typer

from infra.cli import deployments, options
from infra.local import stack as stacks
from infra.local.settings import load_secrets, resolve


def command(
    admin: Annotated[
        bool, typer.Option("--admin", help="Of an administrator instead of a member.")
    ] = False,
    stack: options.ChosenStack = None,
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
) -> None:
    """Print the variables of a ready-made user for any OpenStack client, and the emulator's keys.

    Use it as:  eval "$(coffer openrc)". With --stack they lead to a deployment's AWS and to the
    cloud as whom you have named with --os-cloud or OS_*: there is no ready-made user.
    """
    if (found := deployments.named(stack, profile, region, os_cloud)) is not None:
        _print({**found.cloud.variables(), **found.target.environment()})
        return
    settings = resolve()
    stacks.require_running(settings)
    secrets = load_secrets(settings)
    user, password = ("admin", secrets.admin_password) if admin else ("demo", secrets.demo_password)
    variables = {
        "OS_AUTH_TYPE": "password",
        "OS_AUTH_URL": settings.auth_url,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": user,
        "OS_PASSWORD": password,
        "OS_PROJECT_NAME": user,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": "RegionOne",
        "OS_INTERFACE": "public",
        **settings.aws_environment(),
    }
    _print(variables)


def _print(variables: dict[str, str]) -> None:
    sys.stdout.writelines(
        f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()
    )
