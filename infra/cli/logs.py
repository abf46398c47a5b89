"""`coffer logs`: what a part of the local stack has written."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from infra.cli.console import out
from infra.errors import StackError
from infra.local import cloud, front, ministack, stack
from infra.local.settings import STACK_NAME, StackSettings, resolve
from infra.package.template import FUNCTIONS

FOLLOW_SECONDS: Final = 1.0
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
) -> None:
    """Show the log of a part of the stack."""
    settings = resolve()
    files = _files(settings, part)
    if files is not None:
        _tail(files, lines, follow=follow)
    elif part in {function.name for function in FUNCTIONS}:
        stack.require_running(settings)
        _function_log(settings, part, lines, follow=follow)
    else:
        names = ", ".join(
            ["aws", "cloud", "front", "guest", *(function.name for function in FUNCTIONS)]
        )
        raise StackError(f"There is no part named {part}.", f"One of: {names}")


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


def _function_log(settings: StackSettings, name: str, lines: int, *, follow: bool) -> None:
    client = settings.target.client("logs")
    group = f"/aws/lambda/{STACK_NAME}-{name}"
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
