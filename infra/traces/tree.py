"""The tree of a trace: which piece of work is a part of which, when it began and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from infra.traces.lines import Line

NAMED_BY: Final = {
    "request": "action",
    "operation": "action",
    "step": "step",
    "job": "step",
    "cloud": "method",
    "guest": "method",
    "report": "report",
}
"""The field that tells a piece of work from others of its kind; without one the kind does."""


class Span(NamedTuple):
    """A piece of work, or (without a kind) a line that was written in one. Times are in seconds."""

    kind: str
    name: str
    where: str
    began: float
    took: float
    outcome: str
    parts: list[Span]

    @property
    def ended(self) -> float:
        """When it was over."""
        return self.began + self.took

    @property
    def label(self) -> str:
        """What it is called."""
        return f"{self.kind} {self.name}".strip()


def traces_of(lines: Iterable[Line], asked: str) -> list[str]:
    """The traces whose work says that it belongs to what is asked for, the first one first."""
    found: dict[str, float] = {}
    for line in lines:
        trace = line.fields.get("trace_id")
        ids = (trace, line.fields.get("request_id"), line.fields.get("operation_id"))
        if isinstance(trace, str) and asked in ids:
            found[trace] = min(line.at, found.get(trace, line.at))
    return sorted(found, key=lambda trace: found[trace])


def tree(lines: Iterable[Line], trace_id: str) -> list[Span]:
    """The pieces of work that are a part of no other one known, each with its parts.

    A line that was shipped twice is told once; one whose parent is not there (its function died, or
    it was not looked for) stands at the top.
    """
    spans: dict[str, tuple[Span, str | None]] = {}
    remarks: list[tuple[Span, str | None]] = []
    for line in lines:
        if line.fields.get("trace_id") != trace_id:
            continue
        if "kind" in line.fields:
            own = str(line.fields.get("span_id"))
            spans.setdefault(own, (_span(line), line.fields.get("parent_id")))
        else:
            remarks.append((_remark(line), line.fields.get("span_id")))
    top: list[Span] = []
    for span, parent in (*spans.values(), *remarks):
        above = spans.get(parent) if parent is not None else None
        (above[0].parts if above is not None and above[0] is not span else top).append(span)
    for span, _ in spans.values():
        span.parts.sort(key=lambda part: part.began)
    return sorted(top, key=lambda span: span.began)


def walk(spans: Iterable[Span], depth: int = 0) -> Iterator[tuple[int, Span]]:
    """Each with its depth, a whole before its parts."""
    for span in spans:
        yield depth, span
        yield from walk(span.parts, depth + 1)


def _span(line: Line) -> Span:
    fields: dict[str, Any] = line.fields
    kind = str(fields["kind"])
    return Span(
        kind=kind,
        name=str(fields.get(NAMED_BY.get(kind, ""), "")),
        where=line.where,
        began=float(fields.get("began", line.at)),
        took=float(fields.get("took_ms", 0)) / 1000,
        outcome=str(fields.get("outcome", "")),
        parts=[],
    )


def _remark(line: Line) -> Span:
    said = str(line.fields.get("message", ""))
    level = str(line.fields.get("level", ""))
    return Span("", said, line.where, line.at, 0.0, "" if level == "INFO" else level.lower(), [])
