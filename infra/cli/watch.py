"""Draws an operation while it runs: the steps that the task manager records, with their times."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from infra.cli.console import out
from infra.cli.trove import Api, NotFoundError
from infra.errors import NotAnsweringError, StackError

POLL_SECONDS: Final = 0.25

Instance = dict[str, Any] | None


def until_active(api: Api, instance_id: str, timeout_seconds: float) -> dict[str, Any]:
    """Draw the create until the instance is ACTIVE; raises StackError with its fault."""
    instance = _watch(
        api,
        instance_id,
        timeout_seconds,
        lambda seen: seen is None or seen["status"] in {"ACTIVE", "ERROR", "FAILED"},
    )
    if instance is None or instance["status"] != "ACTIVE":
        fault = (instance or {}).get("fault", {}).get("message", "no fault was recorded")
        raise StackError(f"The instance was not made: {fault}", "See: coffer logs taskmanager")
    return instance


def until_gone(api: Api, instance_id: str, timeout_seconds: float) -> None:
    """Draw the delete until the API says 404; raises StackError when it ends otherwise."""
    instance = _watch(
        api,
        instance_id,
        timeout_seconds,
        lambda seen: seen is None or seen["status"] in {"ERROR", "FAILED"},
    )
    if instance is not None:
        fault = instance.get("fault", {}).get("message", "no fault was recorded")
        raise StackError(f"The instance was not deleted: {fault}")


def _watch(
    api: Api, instance_id: str, timeout_seconds: float, ended: Callable[[Instance], bool]
) -> Instance:
    started = time.monotonic()
    steps: list[dict[str, Any]] = []
    with Live(console=out, auto_refresh=False, transient=True) as live:
        while time.monotonic() - started < timeout_seconds:
            instance = _find(api, instance_id)
            steps = _steps(api, instance_id) or steps
            elapsed = time.monotonic() - started
            status = "gone" if instance is None else str(instance["status"])
            over = ended(instance)
            drawn = _drawn(steps, status, elapsed, over=over)
            if over:
                live.stop()
                out.print(drawn)
                return instance
            live.update(drawn, refresh=True)
            time.sleep(POLL_SECONDS)
    raise NotAnsweringError(
        f"The instance was still in progress after {timeout_seconds:.0f} s.",
        "What the task manager says: coffer logs taskmanager",
    )


def _find(api: Api, instance_id: str) -> Instance:
    try:
        found: dict[str, Any] = api.call("GET", f"/instances/{instance_id}")["instance"]
    except NotFoundError:
        return None
    return found


def _steps(api: Api, instance_id: str) -> list[dict[str, Any]]:
    """The steps of the instance's newest operation; none when it is not to be seen any more."""
    try:
        operations = api.call("GET", f"/instances/{instance_id}/operations")["operations"]
    except NotFoundError:
        return []
    if not operations:
        return []
    newest: dict[str, Any] = max(operations, key=lambda operation: str(operation["created"]))
    steps: list[dict[str, Any]] = newest["steps"]
    return steps


def _drawn(
    steps: list[dict[str, Any]], status: str, elapsed: float, *, over: bool = False
) -> Table:
    """The steps so far; when it is `over`, the last step that was seen open has ended with it."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(width=1)
    table.add_column(width=44)
    table.add_column(justify="right", width=9)
    for step in steps:
        ended = step.get("ended") or over
        mark = "[green]✓[/]" if ended else "[yellow]…[/]"
        label = escape(str(step["name"]).replace("_", " "))
        if not ended and step.get("detail"):
            label += f" [dim]{escape(str(step['detail']))}[/]"
        table.add_row(mark, label, f"{_seconds(step):.1f} s")
    table.add_row(" ", f"[bold]{escape(status)}[/]", f"{elapsed:.1f} s")
    return table


def _seconds(step: dict[str, Any]) -> float:
    """How long the step took, or has taken so far."""
    started = _moment(step["started"])
    ended = _moment(step["ended"]) if step.get("ended") else datetime.now(UTC)
    return max(0.0, (ended - started).total_seconds())


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
