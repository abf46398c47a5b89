"""The options that several commands share."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from infra.errors import StackError, UnusableInputError

AwsPort = Annotated[
    int | None,
    typer.Option(
        envvar="COFFER_AWS_PORT", min=1, max=65535, help="Port of the embedded AWS (default 4566)."
    ),
]
CloudPort = Annotated[
    int | None,
    typer.Option(
        envvar="COFFER_CLOUD_PORT",
        min=1,
        max=65535,
        help="Port of the local cloud (default 15000).",
    ),
]
ApiPort = Annotated[
    int | None,
    typer.Option(
        envvar="COFFER_API_PORT",
        min=1,
        max=65535,
        help="Port where Trove's API answers (default: the one behind that of AWS).",
    ),
]
GuestNetwork = Annotated[
    str | None,
    typer.Option(
        envvar="COFFER_GUEST_NETWORK",
        metavar="CIDR",
        help="Loopback network whose addresses the database servers take (default 127.77.0.0/16).",
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        envvar="COFFER_ENDPOINT",
        metavar="URL",
        help=(
            "An AWS that runs already (LocalStack, a MiniStack of yours), in the place of the "
            "embedded one. Until `coffer down`."
        ),
    ),
]
AgentCommand = Annotated[
    str | None,
    typer.Option(
        envvar="COFFER_AGENT_COMMAND",
        metavar="COMMAND",
        help="What the local cloud starts as a server's agent, for tests. Until `coffer down`.",
    ),
]
Stack = Annotated[
    str,
    typer.Option(
        envvar="COFFER_STACK_NAME",
        metavar="NAME",
        help="Name of the deployment: of its stack, and the begin of its tables, queues and roles.",
    ),
]
ChosenStack = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A deployment of `coffer deploy`; else the local stack."),
]
Profile = Annotated[
    str | None, typer.Option(metavar="NAME", help="Profile of AWS (else AWS_PROFILE).")
]
Region = Annotated[
    str | None, typer.Option(metavar="REGION", help="Region of AWS (else AWS_REGION).")
]
OsCloud = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="A cloud of clouds.yaml (else OS_CLOUD, or the OS_* variables)."
    ),
]
FrontPort = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65535,
        help="On an emulator: port of the proxy where the API answers (the emulator's port + 1).",
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        metavar="NAME=VALUE",
        help="A parameter of the CloudFormation template, e.g. HeartbeatSeconds=5. Repeatable.",
    ),
]


def parsed(parameters: list[str] | None) -> dict[str, str] | None:
    """`["A=b"]` → `{"A": "b"}`; None stays None."""
    if parameters is None:
        return None
    pairs = [item.partition("=") for item in parameters]
    if bad := [name for name, equals, _ in pairs if not (name and equals)]:
        raise StackError(f"Not a NAME=VALUE: {bad[0]}", "Write for example HeartbeatSeconds=5")
    return {name: value for name, _, value in pairs}


def ask(question: str) -> str:
    """A secret from the terminal; raises UnusableInputError where there is none."""
    if not sys.stdin.isatty():
        raise UnusableInputError(
            f"{question}: there is no terminal to ask at.",
            "Set OS_PASSWORD, write it into clouds.yaml, or give --service-password-file FILE.",
        )
    return getpass.getpass(f"{question}: ")


def secret_of(file: Path) -> str:
    """The first line of a file, or of stdin for `-`; raises UnusableInputError for an empty one."""
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text()
    except OSError as error:
        raise UnusableInputError(f"{file} cannot be read: {error.strerror}") from None
    secret = text.partition("\n")[0].rstrip("\r")
    if not secret:
        raise UnusableInputError(f"{file} holds no password.", "Its first line has to be one.")
    return secret
