"""Which trace the code that runs belongs to, and one log line for each piece of work in it.

A span is a line of the log: what was done, when, for how long, how it ended, and of which span it
is a part. The place in the trace (W3C Trace Context, level 1) goes along with the work:

    client's header, else new ─▶ request ─▶ operation's row ─▶ dispatch, steps
                                                                 └▶ command's row ─▶ guest, report

Who continues a trace reads it from rows that the control plane has written. What others say of it,
a client or a guest, is read with `parse`, which takes anything and believes little. Decision 46.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

import msgspec

from chalicelib import aws
from chalicelib.metrics import Measured, Metric

_TRACEPARENT: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.*)?",
    re.ASCII,
)
_DIGITS: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MOST_TRACEPARENT: Final = 255
_SAMPLED: Final = 0x01

INHERITED: Final = ("request_id", "operation_id", "instance_id", "tenant_id", "user_id")
"""What is true of a span is true of its parts, and of every line that is written meanwhile."""


class Trace(msgspec.Struct, frozen=True):
    """A place in a trace: its id, and the span that what follows is a part of ("" for none).

    `sampled` is decided once, where the trace begins: whether details are written, too.
    """

    trace_id: str
    span_id: str = ""
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{_SAMPLED if self.sampled else 0:02x}"


def parse(said: object) -> Trace | None:
    """The place that a `traceparent` names; None for what is none (Trace Context, 3.2.2)."""
    if not isinstance(said, str) or len(said) > _MOST_TRACEPARENT:
        return None
    found = _TRACEPARENT.fullmatch(said.strip())
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    if not int(found["trace"], 16) or not int(found["span"], 16):
        return None
    return Trace(found["trace"], found["span"], bool(int(found["flags"], 16) & _SAMPLED))


def named(text: str) -> Trace:
    """The trace of that name, for what no request has begun: always the same one."""
    return Trace(hashlib.sha256(text.encode()).hexdigest()[:32])


def of_request(request_id: str, said: object = None) -> Trace:
    """Where a request belongs: its client's trace, else one that has the id of the request."""
    digits = request_id.removeprefix("req-").replace("-", "")
    return parse(said) or (Trace(digits) if _DIGITS.fullmatch(digits) else named(request_id))


def within(request_id: str) -> Trace:
    """Where the work for a request belongs that has begun its own trace."""
    return Trace(of_request(request_id).trace_id, span_of(request_id))


def of_operation(operation_id: str, asked: Trace | None = None) -> Trace:
    """Where the work of an operation belongs: below its own span, in the trace of who asked."""
    asked = asked or named(operation_id)
    return Trace(asked.trace_id, span_of(operation_id), asked.sampled)


def span_of(name: str) -> str:
    """The id of the span that a request or an operation is: it follows from theirs.

    So rows need not tell it, and the parts of an operation can name it that are written before its
    own line, by whoever ends it.
    """
    return hashlib.sha256(f"span/{name}".encode()).hexdigest()[:16]


class Span:
    """A piece of work while it goes on; `fields` are those of its line (`chalicelib.logs`)."""

    def __init__(
        self, kind: str, parent: Trace | None, fields: Mapping[str, Any], name: str | None = None
    ) -> None:
        self.kind = kind
        self.fields = dict(fields)
        self.measured: list[Measured] = []
        self.began = aws.clock()
        self._since = aws.monotonic()
        self._parent = parent
        self._span_id = span_of(name) if name else aws.span_bytes(8).hex()

    @property
    def trace(self) -> Trace:
        """The place of what is a part of this."""
        return Trace(self.parent.trace_id, self._span_id, self.parent.sampled)

    @property
    def parent(self) -> Trace:
        """The place of this; a trace of its own when nobody has named one."""
        if self._parent is None:
            self._parent = Trace(aws.span_bytes(16).hex())
        return self._parent

    @property
    def took_ms(self) -> int:
        """Milliseconds so far."""
        return round((aws.monotonic() - self._since) * 1000)

    def follow(self, parent: Trace) -> None:
        """Belong there: known only when a row has been read."""
        self._parent = parent

    def tell(self, **fields: Any) -> None:
        """Say more of it in its line."""
        self.fields.update(fields)

    def measure(self, metric: Metric, value: float, **dimensions: str) -> None:
        """Count it in a metric."""
        self.measured.append(Measured(metric, value, dimensions))


_current: ContextVar[Span | None] = ContextVar("coffer_span", default=None)


def current() -> Span | None:
    """The span that the code which runs is a part of."""
    return _current.get()


def traceparent() -> str | None:
    """The present place as rows, messages and headers carry it; None outside of any span."""
    span = current()
    return str(span.trace) if span is not None else None


def around() -> dict[str, Any]:
    """What is true of any line that is written now."""
    span = current()
    if span is None:
        return {}
    ids = {"trace_id": span.trace.trace_id, "span_id": span.trace.span_id}
    return {name: span.fields.get(name) for name in INHERITED} | ids


@contextlib.contextmanager
def working(
    kind: str, parent: Trace | None = None, *, name: str | None = None, **fields: Any
) -> Iterator[Span]:
    """Do a piece of work that somebody else writes the line of.

    Without a `parent` it is a part of the present one. Its id follows from the `name`, if it has
    one, and is random else.
    """
    around = current()
    if around is not None:
        parent = parent or around.trace
        fields = {name: around.fields.get(name) for name in INHERITED} | fields
    span = Span(kind, parent, fields, name)
    token = _current.set(span)
    try:
        yield span
    finally:
        _current.reset(token)


@contextlib.contextmanager
def span(
    log: logging.Logger,
    kind: str,
    parent: Trace | None = None,
    *,
    name: str | None = None,
    **fields: Any,
) -> Iterator[Span]:
    """Do a piece of work and write its line; its outcome is "done" unless it says another one, or
    raises."""
    with working(kind, parent, name=name, **fields) as span:
        try:
            yield span
        except Exception as error:
            span.fields.setdefault("outcome", "error")
            span.tell(error=type(error).__name__)
            raise
        finally:
            told = {**span.fields, "took_ms": span.took_ms, "measured": span.measured}
            _write(log, span.kind, span.trace, span.parent.span_id, span.began, told)


@contextlib.contextmanager
def detail(log: logging.Logger, kind: str, **fields: Any) -> Iterator[Callable[..., None]]:
    """The same of a part that has a line in sampled traces only, and none outside of any.

    What it is given is `Span.tell`, or does nothing.
    """
    around = current()
    if around is None or not around.trace.sampled:
        yield lambda **_: None
        return
    with span(log, kind, **fields) as part:
        yield part.tell


def past(
    log: logging.Logger,
    kind: str,
    place: Trace,
    parent_id: str,
    *,
    began: float,
    took_ms: int,
    measured: Sequence[Measured] = (),
    **fields: Any,
) -> None:
    """Write the line of a span that others have worked at: its `place` is its own id."""
    told = {**fields, "took_ms": took_ms, "measured": measured}
    _write(log, kind, place, parent_id, began, told)


def _write(
    log: logging.Logger,
    kind: str,
    place: Trace,
    parent_id: str,
    began: float,
    fields: Mapping[str, Any],
) -> None:
    if not log.isEnabledFor(logging.INFO):
        return
    told = {"outcome": "done", **fields}
    own = {
        "kind": kind,
        "began": round(began, 3),
        "trace_id": place.trace_id,
        "span_id": place.span_id,
        "parent_id": parent_id or None,
    }
    log.info("%s: %s", kind, told["outcome"], extra=told | own)
