"""`coffer up`: the local stack, from nothing or from whatever is left of it."""

import os

from rich.markup import escape

from infra.cli import options
from infra.cli.console import ConsoleProgress, out
from infra.local import stack
from infra.local.settings import resolve, state_folder


def command(
    aws_port: options.AwsPort = None,
    cloud_port: options.CloudPort = None,
    api_port: options.ApiPort = None,
    guest_network: options.GuestNetwork = None,
    endpoint: options.Endpoint = None,
    agent_command: options.AgentCommand = None,
    parameter: options.Parameters = None,
) -> None:
    """Start MiniStack and the local cloud, deploy Coffer on them, and print its endpoint.

    With --endpoint nothing is started in MiniStack's place: Coffer is deployed to the AWS that
    answers there, and `coffer down` takes it away again.

    A second run changes nothing. It mends what is missing: a part that died, a deployment that was
    interrupted, sources that changed. Ports and parameters are remembered in the state folder. For
    a second stack beside this one, set COFFER_STATE, the ports of AWS and of the cloud, and the
    guest network; the API answers at the port behind that of AWS.
    """
    settings = resolve(
        aws_port=aws_port,
        cloud_port=cloud_port,
        api_port=api_port,
        guest_network=guest_network,
        parameters=options.parsed(parameter or None),
        aws_endpoint=endpoint,
        agent_command=agent_command,
    )
    if "COFFER_STATE" not in os.environ and settings.state.parent.name == "tmp":
        out.print(
            f"  [dim]The database's user can't enter this folder, so the state is in "
            f"{escape(str(state_folder()))}[/]"
        )
    running = stack.up(settings, ConsoleProgress())
    if not running.changed:
        out.print("[green]✓[/] Everything is up already; nothing was changed.")
    out.print(f"\nTrove API   {escape(running.endpoint)}/v1.0")
    out.print(f"Keystone    {escape(settings.auth_url)}")
    out.print(f"AWS         {escape(settings.aws_url)}")
    out.print('\nFor any OpenStack client:  eval "$(coffer openrc)"')
