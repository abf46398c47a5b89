"""I34: one operation can be followed, since all that is done for it is told in one trace."""

from __future__ import annotations

import logging
from typing import Final

from chalicelib import tracing
from chalicelib.bus.envelope import Direction
from simulator.aws.dynamodb.values import Item
from simulator.aws.sqs.queues import Message
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Hub
from simulator.invariants.mail import Mail
from simulator.invariants.marks import FORGED_TRACE
from simulator.template import PREFIX

PARTS: Final = frozenset({"dispatch", "step", "operation", "guest", "report"})
"""The kinds of lines that an operation has, or may have."""

ANSWERED: Final = frozenset({"guest", "report"})
"""Those that read their trace from the row of a command."""

REFUSED: Final = "refused"
"""Of the line of a report that nobody could open."""

UNREAD: Final = "error"
"""Of a line whose work may have ended before it had read which trace it belongs to."""


class Traced(Invariant):
    """Knows the trace that each operation was accepted in, and looks at each line about it.

    What another release has left without its client's trace goes on in the request's own, a
    command in one that is named after its operation.
    """

    id = "I34"
    title = "What is done for an operation is told in the one trace of its request"

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._traces: dict[str, set[str]] = {}
        self._waiting: dict[str, list[str]] = {}
        """Operations whose request has not been told of yet, by its id."""
        self._mail = Mail(hub.run.region)
        self._works: dict[str, str] = {}
        """The span of what a guest says it has done for a command, by its id."""
        self._again: set[str] = set()
        """Commands that are answered from the journal, too, as they were sent twice: that answer
        knows nothing of the work, and may come first."""
        self._done: set[str] = set()
        """Spans of guests' work that lines have told of."""

    def watch(self) -> None:
        self.hub.on_write("operations", self._operation)
        self.hub.on_write("commands", self._command)
        self.hub.on_line(self._line)
        self.hub.on_message(self._sent)

    def _sent(self, queue: str, message: Message) -> None:
        """What a guest's answer says of its work, in the trace of the command; in fair weather it
        is lost nowhere."""
        if not self.hub.calm or queue != f"{PREFIX}-conductor" or not self.hub.is_guest():
            return
        report = self._mail.opened(message.body, Direction.TO_CONTROL)
        command = self.hub.row("commands", report.id) if report is not None else None
        if report is None or report.kind != "result" or command is None or "answered" in command:
            return
        said, asked = tracing.parse(report.traceparent), tracing.parse(command.get("traceparent"))
        if said is None:
            self._again.add(report.id)
        if said is not None and asked is not None and said.trace_id == asked.trace_id:
            self._works[report.id] = said.span_id

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if new is None or self.hub.restoring:
            return
        key, trace = new["id"], _trace_of(new)
        if old is not None:
            if key in self._traces and trace is not None:
                self._traces[key].add(trace)  # where another release has left it without its own
            return
        if trace is None:
            if self.hub.in_function():
                self.broken("an operation was accepted in no trace", new["instance_id"])
            return
        self.exercised += 1
        self._traces[key] = {trace}
        parent = new.get("parent_id")
        if parent is None:
            self._waiting.setdefault(str(new.get("request_id")), []).append(key)
        elif parent in self._traces and trace not in self._traces[parent]:
            self.broken("an operation has another trace than the one that began it")

    def _command(self, old: Item | None, new: Item | None) -> None:
        if new is None or (key := new.get("operation_id")) not in self._traces:
            return
        place = tracing.parse(new.get("traceparent"))
        if old is None:
            self._require(key, place.trace_id if place else None, "a command")
        elif place is None:  # another release has left it without
            self._traces[key].add(tracing.named(key).trace_id)

    def _line(self, record: logging.LogRecord) -> None:
        kind, trace = getattr(record, "kind", None), getattr(record, "trace_id", None)
        if trace == FORGED_TRACE:
            self.broken(f"the line of a {kind} is in a trace that a guest has made up")
        if kind == "request":
            for key in self._waiting.pop(str(getattr(record, "request_id", None)), ()):
                self._require(key, trace, "the request")
        if kind not in PARTS or getattr(record, "outcome", None) == UNREAD:
            return
        operation_id = getattr(record, "operation_id", None)
        if kind == "guest" and self.hub.calm:
            self._done.add(str(getattr(record, "span_id", None)))
        if kind == "report" and getattr(record, "outcome", None) != REFUSED:
            self._require_owner(record)
        if operation_id in self._traces:
            if kind in ANSWERED and trace == tracing.named(operation_id).trace_id:
                return  # F19 leaves the row of its command without, and no write tells of that
            self._require(operation_id, trace, f"the line of a {kind}")
        elif kind == "step" and operation_id is None:
            self.broken("the line of a step does not say of which operation it is")

    def check_healed(self) -> None:
        """What a guest has said of work that came to a result is told as it says."""
        for command_id, span_id in self._works.items():
            command = self.hub.row("commands", command_id)
            if command_id in self._again:
                continue
            if command is not None and "result" in command:
                self.exercised += 1
                if span_id not in self._done:
                    text = f"no line tells of what was done for {command['method']} {command_id}"
                    self.broken(text, command["instance_id"])

    def _require_owner(self, record: logging.LogRecord) -> None:
        """The line of a report says whose it is, of an operation or of none."""
        if getattr(record, "instance_id", None) is None:
            self.broken("the line of a report does not say of which instance it is")

    def _require(self, key: str, trace: str | None, what: str) -> None:
        self.exercised += 1
        if trace not in self._traces[key] and not self.hub.restored_at:
            self.broken(f"{what} of {key} is in another trace than the operation")


def _trace_of(row: Item) -> str | None:
    """The trace that an operation's row says it belongs to."""
    place = tracing.parse(row.get("traceparent"))
    if place is None and row.get("request_id"):
        place = tracing.within(row["request_id"])
    return place.trace_id if place is not None else None
