"""What a guest's report says of the trace of its command: told in the log, and nowhere else.

The trace is the one of the command's row. The guest may name its own piece of work in it, and how
long that took: neither is believed beyond its own line.
"""

from __future__ import annotations

from typing import Final

from chalicelib import tracing
from chalicelib.bus import commands
from chalicelib.bus.contract import METHODS
from chalicelib.bus.envelope import Envelope
from chalicelib.store.models import Command
from chalicelib.store.spans import place_of_command, tell_guest

OTHER: Final = "other"
"""For methods and faults that this release does not know: a guest may say anything."""


def follow(row: Command, envelope: Envelope) -> None:
    """Let the report that is being handled be a part of what its command belongs to."""
    span = tracing.current()
    if span is not None:
        span.follow(_work_of(row, envelope) or place_of_command(row))
        span.tell(operation_id=row.operation_id, method=_method(row))


def tell_answer(row: Command, envelope: Envelope) -> None:
    """The line of the guest's work; a guest of the release before does not say how long it took."""
    took_ms = envelope.took_ms
    believable = type(took_ms) is int and took_ms >= 0
    tell_guest(
        row,
        _method(row),
        _outcome(row),
        work=_work_of(row, envelope),
        ended=envelope.issued_at if believable else None,
        took_ms=took_ms if believable else None,
    )


def _work_of(row: Command, envelope: Envelope) -> tracing.Trace | None:
    """The guest's piece of work, if it lies in the trace of its command."""
    said, asked = tracing.parse(envelope.traceparent), place_of_command(row)
    if said is None or said.trace_id != asked.trace_id or said.span_id == asked.span_id:
        return None
    return tracing.Trace(said.trace_id, said.span_id, asked.sampled)


def _method(row: Command) -> str:
    return row.method if row.method in METHODS else OTHER


def _outcome(row: Command) -> str:
    fault = commands.fault_of(row)
    if fault is None:
        return "done"
    return fault.code if fault.code in commands.CODES else OTHER
