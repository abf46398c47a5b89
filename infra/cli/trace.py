"""`coffer trace`: what became of one request, from the API to the database and back."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from infra.cli import deployments, options
from infra.cli.console import out
from infra.cli.deployments import Deployment
from infra.errors import StackError, UnusableInputError
from infra.package.template import FUNCTIONS
from infra.traces import picture
from infra.traces.lines import Found, Line, in_files, in_groups
from infra.traces.tree import Span, traces_of, tree, walk

ID: Final = re.compile(r"(req-)?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}")
HOUR: Final = 3600.0
MOST_TRACES: Final = 5


def command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="A request (X-OpenStack-Request-Id), an operation or a trace (32 digits).",
        ),
    ],
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw it into a file, too.")
    ] = None,
    hours: Annotated[
        float, typer.Option("--hours", min=0.1, max=24 * 400, help="How far back to look.")
    ] = 24.0,
    guest_log: Annotated[
        list[Path] | None,
        typer.Option(
            "--guest-log",
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="A guest agent's log, copied from its server. Repeatable.",
        ),
    ] = None,
    stack: options.ChosenStack = None,
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
) -> None:
    """Show everything that was done for a request or an operation, with times.

    It reads the logs of the functions (on AWS: logs:FilterLogEvents) and, on a local stack, those
    of the guest agents. Elsewhere a guest's own lines stay on its server, unless --guest-log names
    a copy; what it has worked at is told by the conductor.
    """
    if not ID.fullmatch(what):
        raise UnusableInputError(f"{what} is no id of a request, an operation or a trace.")
    deployment = deployments.chosen(stack, profile, region, os_cloud)
    files = [*deployment.guest_logs, *(guest_log or ())]
    search = _Search(deployment, files, time.time() - hours * HOUR)
    traces = traces_of(search.lines(what), what)
    if not traces and what.startswith("req-"):
        traces = [what.removeprefix("req-").replace("-", "")]
    found = [(trace, tree(search.lines(trace), trace)) for trace in traces[:MOST_TRACES]]
    found = [(trace, spans) for trace, spans in found if spans]
    if not found:
        raise StackError(
            f"No log line of the last {hours:g} hours names {what}.",
            "Look further back with --hours, or wait: CloudWatch shows a line within seconds.",
        )
    for trace, spans in found:
        out.print(f"[bold]trace {trace}[/]")
        _show(spans)
    if len(traces) > MOST_TRACES:
        out.print(f"{len(traces) - MOST_TRACES} more traces: name one of {', '.join(traces)}")
    if search.cut:
        out.print("[yellow]![/] There are more lines than were looked at; name less with --hours.")
    if svg is not None:
        svg.write_text(picture.svg(found[0][1], _title(found[0][1])))
        out.print(f"[green]✓[/] Drawn: {escape(str(svg))}")


class _Search:
    """Looks for a text wherever this deployment writes."""

    def __init__(self, deployment: Deployment, files: list[Path], since: float) -> None:
        self._since = since
        self._files = files
        self._target = deployment.target
        names = [function.name for function in FUNCTIONS]
        self._groups = {name: f"/aws/lambda/{deployment.name}-{name}" for name in names}
        self.cut = False

    def lines(self, text: str) -> list[Line]:
        """The lines that hold it."""
        found = in_groups(self._target.client("logs"), self._groups, text, self._since)
        guests = in_files(self._files, "guest", text) if self._files else Found([], cut=False)
        self.cut = self.cut or found.cut or guests.cut
        return found.lines + guests.lines


def _title(spans: list[Span]) -> str:
    """What the whole is called: the operation, if there is one, else what came first."""
    pieces = [span for _, span in walk(spans)]
    whole = next((span for span in pieces if span.kind == "operation"), pieces[0])
    return whole.label


def _show(spans: list[Span]) -> None:
    begin = min(span.began for _, span in walk(spans))
    for depth, span in walk(spans):
        after = f"{(span.began - begin) * 1000:+9.0f} ms"
        took = f"{span.took * 1000:7.0f} ms" if span.kind else " " * 10
        named = f"{'  ' * depth}{span.label}"
        out.print(escape(f"{after} {took}  {named:<60} {span.outcome:<9} {span.where}"))
