"""`coffer trace`: what became of one request, from the API to the database and back."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from infra.cli.console import out
from infra.errors import StackError, UnusableInputError
from infra.local import stack
from infra.local.settings import STACK_NAME, resolve
from infra.package.template import FUNCTIONS
from infra.target import Target
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
    region: Annotated[
        str | None,
        typer.Option(
            metavar="REGION",
            help="An AWS account, with the environment's credentials; else the local stack.",
        ),
    ] = None,
    prefix: Annotated[
        str, typer.Option(metavar="PREFIX", help="Of the deployment's names.")
    ] = STACK_NAME,
) -> None:
    """Show everything that was done for a request or an operation, with times.

    It reads the logs of the functions (on AWS: logs:FilterLogEvents) and, on a local stack, those
    of the guest agents. On AWS a guest's own lines stay on its server; what it has worked at is
    told by the conductor.
    """
    if not ID.fullmatch(what):
        raise UnusableInputError(f"{what} is no id of a request, an operation or a trace.")
    search = _Search(region, prefix, time.time() - hours * HOUR)
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

    def __init__(self, region: str | None, prefix: str, since: float) -> None:
        self._since = since
        self._files: list[Path] = []
        self._target = Target(region) if region is not None else self._local()
        names = [function.name for function in FUNCTIONS]
        self._groups = {name: f"/aws/lambda/{prefix}-{name}" for name in names}
        self.cut = False

    def _local(self) -> Target:
        settings = resolve()
        stack.require_running(settings)
        self._files = sorted(settings.cloud.glob("servers/*/var/log/guest-agent.log"))
        return settings.target

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
