"""`coffer logs`: what a part of the local stack has written."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from infra.cli import deployments, options
from infra.cli.console import out
from infra.cli.deployments import Deployment
from infra.errors import StackError
from infra.local import cloud, front, ministack
from infra.local.settings import StackSettings, resolve
from infra.package.template import FUNCTIONS

FOLLOW_SECONDS: Final = 1.0
LOCAL: Final = ("aws", "cloud", "front", "guest")
# MiniStack says these around every invocation.
FRAME: Final = ("START RequestId", "END RequestId", "REPORT RequestId")


def command(
    part: Annotated[
        str,
        typer.Argument(
            help=(
                "aws, cloud, front, guest (all agents) or a function: "
                + ", ".join(function.name for function in FUNCTIONS)
            )
        ),
    ] = "api",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Last lines to show.")] = 100,
    stack: options.ChosenStack = None,
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
) -> None:
    """Show the log of a part of the local stack, or of a function of a deployment."""
    functions = [function.name for function in FUNCTIONS]
    if part in functions:
        deployment = deployments.chosen(stack, profile, region, os_cloud)
        _function_log(deployment, part, lines, follow=follow)
        return
    files = None if stack is not None else _files(resolve(), part)
    if files is None:
        names = ", ".join([*([] if stack is not None else LOCAL), *functions])
        raise StackError(f"There is no part named {part}.", f"One of: {names}")
    _tail(files, lines, follow=follow)


def _files(settings: StackSettings, part: str) -> list[Path] | None:
    """The log files of a part that writes files; None for a function."""
    if part == "aws":
        if settings.aws_endpoint:
            raise StackError(
                f"The AWS at {settings.aws_endpoint} was not started by Coffer.",
                "Its own log is where it was started.",
            )
        return [ministack.process(settings).log]
    if part == "cloud":
        return [cloud.process(settings).log]
    if part == "front":
        return [front.process(settings).log]
    if part == "guest":
        return sorted(settings.cloud.glob("servers/*/var/log/guest-agent.log"))
    return None


def _tail(files: list[Path], lines: int, *, follow: bool) -> None:
    present = [str(file) for file in files if file.exists()]
    if not present:
        raise StackError("There is no such log yet.", "`coffer status` says what is up.")
    subprocess.run(["tail", f"--lines={lines}", *(["-F"] if follow else []), *present], check=False)


def _function_log(deployment: Deployment, name: str, lines: int, *, follow: bool) -> None:
    client = deployment.target.client("logs")
    group = f"/aws/lambda/{deployment.name}-{name}"
    seen = _events(client, group, 0)
    _write(seen[-lines:])
    while follow:
        time.sleep(FOLLOW_SECONDS)
        since = seen[-1]["timestamp"] if seen else 0
        known = {(event["timestamp"], event["message"]) for event in seen}
        new = [
            event
            for event in _events(client, group, since)
            if (event["timestamp"], event["message"]) not in known
        ]
        _write(new)
        seen = [event for event in seen + new if event["timestamp"] >= since]


def _events(client: Any, group: str, since_ms: int) -> list[dict[str, Any]]:
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=since_ms
    )
    events = [
        event
        for page in pages
        for event in page["events"]
        if not event["message"].startswith(FRAME)
    ]
    return sorted(events, key=lambda event: event["timestamp"])


def _write(events: list[dict[str, Any]]) -> None:
    for event in events:
        moment = time.strftime("%H:%M:%S", time.localtime(event["timestamp"] / 1000))
        sys.stdout.write(f"{moment} {event['message'].rstrip()}\n")
    out.file.flush()
