"""Command line of the local cloud: `python -m simulator.cloud --help`."""

from __future__ import annotations

import ipaddress
import logging
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from simulator.cloud.model.settings import RAISED, ZONE, CloudSettings, Delays
from simulator.cloud.server import Bootstrap, StartError, serve

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    state: Annotated[
        Path, typer.Option(help="The cloud's own folder; gets servers/<id> and volumes/<id>.")
    ],
    bootstrap: Annotated[
        Path,
        typer.Option(
            help="JSON file (mode 0600): region, admin_password, service_password, demo_password, "
            "validation_password."
        ),
    ],
    host: Annotated[str, typer.Option(help="Address to listen on; a loopback one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 15000,
    guest_network: Annotated[
        str, typer.Option(help="Loopback range of which each port gets an address.")
    ] = "127.77.0.0/16",
    delay_factor: Annotated[
        float, typer.Option(min=0.0, help="Multiplies the cloud's delays (a build is 0.15 s).")
    ] = 1.0,
    token_seconds: Annotated[
        float, typer.Option(min=0.1, help="Life of a token, in seconds.")
    ] = 3600.0,
    reclaim_seconds: Annotated[
        float,
        typer.Option(min=0.0, help="How long Nova keeps a deleted server; 0 is not."),
    ] = 0.0,
    zone: Annotated[
        list[str] | None, typer.Option(help="A zone of Nova's, more than once for more. [nova]")
    ] = None,
    volume_zone: Annotated[
        list[str] | None, typer.Option(help="A zone of Cinder's, likewise. [nova]")
    ] = None,
    raised_quotas: Annotated[
        bool, typer.Option(help="Give the project `service` more than OpenStack's defaults.")
    ] = False,
    agent_command: Annotated[
        str | None,
        typer.Option(
            help="Starts a guest's agent; `--root DIR` is added. [this Python -m guest_agent]"
        ),
    ] = None,
    action: Annotated[str, typer.Argument(help="What to do; there is only `serve`.")] = "serve",
) -> None:
    """A small OpenStack on one machine: Keystone, Nova, Neutron, Cinder, Glance, until SIGTERM.

    A server is a process, the guest agent, started from the server's user data; a volume a folder.
    Every guest is killed at the end.

    Services are at /identity/v3, /compute/v2.1, /network, /volume/v3/<project> and /image. Users:
    admin (project admin), coffer (project service, roles member and service), demo (project demo)
    and demo2 (project demo2), all in domain Default; demo2 has demo's password. /healthz tells that
    it is up.

    Nothing survives a restart but the ids of users, projects, the image and the networks: at its
    start the cloud kills the guests and removes the folders that a previous run left in its state.

    An admin's token may arm faults: POST /_simulator/faults with service, call, mode, and
    optionally match, count, seconds (GET lists the modes); hurt a guest: POST
    /_simulator/servers/<id>/ and kill_agent, pause_agent, resume_agent or kill_server; and see
    everything that exists: GET /_simulator/inventory.
    """
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    if action != "serve":
        raise typer.BadParameter("there is only `serve`", param_hint="action")
    if not ipaddress.ip_address(host).is_loopback:
        raise typer.BadParameter(
            "it has no real security: only a loopback address", param_hint="host"
        )
    command = shlex.split(agent_command or f"{shlex.quote(sys.executable)} -m guest_agent")
    try:
        start = Bootstrap.read(bootstrap)
        settings = CloudSettings(
            region=start.region,
            guest_network=guest_network,
            token_seconds=token_seconds,
            delays=Delays().scaled(delay_factor),
            reclaim_seconds=reclaim_seconds,
            zones=tuple(zone or (ZONE,)),
            volume_zones=tuple(volume_zone or (ZONE,)),
            service_quota=RAISED if raised_quotas else {},
        )
        serve(state.resolve(), host, port, start, settings, command)
    except StartError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
