"""The options that several commands share."""

from typing import Annotated

import typer

from infra.errors import StackError

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
