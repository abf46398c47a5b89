"""Bugs of what the control plane tells of itself: traces and audit records."""

from __future__ import annotations

from typing import Any

from chalicelib import tracing
from chalicelib.api import frame
from chalicelib.bus.envelope import Envelope
from chalicelib.conductor import traces
from chalicelib.store import spans
from chalicelib.store.models import Command, Operation
from functions import step
from tests.saboteurs.registry import Instead, Patch, saboteur


@saboteur("calm", "I34")
def a_step_in_a_trace_of_its_own(patch: Patch) -> None:
    """A step does not go on with the trace of its operation's request."""

    def place_of(operation: Operation) -> tracing.Trace:
        return tracing.named(f"a step of {operation.id}")

    patch.setattr(step, "spans", Instead(spans, place_of=place_of))


@saboteur("hostile", "I34")
def a_trace_as_the_guest_says(patch: Patch) -> None:
    """A guest's answer is told in whatever trace the guest names."""

    def work_of(_: Command, envelope: Envelope) -> tracing.Trace | None:
        return tracing.parse(envelope.traceparent)

    patch.setattr(traces, "_work_of", work_of)


@saboteur("calm", "I18")
def a_change_without_an_audit_record(patch: Patch) -> None:
    """The line of a request does not say that it was one for a change."""

    def begin_audit(*_: Any) -> None:
        return None

    patch.setattr(frame, "_begin_audit", begin_audit)


@saboteur("calls", "I34")
def work_of_a_guest_that_is_not_told(patch: Patch) -> None:
    """The line of a guest's work is one of nobody's, whatever the guest says."""
    patch.setattr(traces, "_work_of", lambda _, __: None)
