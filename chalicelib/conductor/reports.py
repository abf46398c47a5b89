"""What each kind of report on the conductor's queue does: result, progress, root, event.

Results apply once per command, progress once per (command, epoch, seq). Whatever cannot be trusted
goes to the dead letters with its reason; a guest of an older generation is refused and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from typing import Annotated, Final

import msgspec

from chalicelib import aws, crash, tracing
from chalicelib.bus import commands, keys, queues
from chalicelib.bus.envelope import (
    Direction,
    Envelope,
    EnvelopeError,
    Malformed,
    open_sealed,
)
from chalicelib.conductor import traces
from chalicelib.lifecycle import ServiceStatus
from chalicelib.store import changes, events, instances, last_reports
from chalicelib.store import commands as rows
from chalicelib.store.base import ConditionFailed
from chalicelib.store.models import Command, Instance

MOST_STAGE: Final = 255
LONGEST_EVENT: Final = 300
OLDEST_EVENT_SECONDS: Final = 86400.0
"""An event that says it is older is told as of then."""
_EVENTS: Final = frozenset({*map(str, ServiceStatus), "repaired", "damaged", "log_waits"})

log = logging.getLogger(__name__)


class Expired(EnvelopeError):
    """A message that outlived its expiry."""


class Superseded(EnvelopeError):
    """A message of a guest that is no longer the instance's."""


class UnknownKind(EnvelopeError):
    """A kind of report that this queue does not carry."""


class Progress(msgspec.Struct, frozen=True):
    """What a report on a running command tells: its stage, and within how long that is told again;
    0 of an agent of a former release, which tells each once."""

    stage: str = ""
    again_seconds: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 0


def receive(body: str) -> None:
    """Apply one message of the conductor's queue; a poisoned one is buried with its reason."""
    with tracing.span(log, "report") as span, crash.scope("conductor"):
        try:
            envelope = open_report(body, kinds=_KINDS)
            span.tell(
                report=envelope.kind,
                instance_id=envelope.instance_id,
                generation=envelope.generation,
            )
            if not _KINDS[envelope.kind](envelope, _heard(envelope)):
                span.tell(outcome="known")
        except EnvelopeError as error:
            span.tell(outcome="refused", error=type(error).__name__)
            log.warning("a report was refused: %s", error)
            queues.bury(body, f"{type(error).__name__}: {error}")


def open_report(body: str, kinds: Container[str]) -> Envelope:
    """The verified envelope of a guest's message; an `EnvelopeError` when it is not acceptable.

    Raises `keys.NotYetKnown` for one that has to come again.
    """
    envelope = open_sealed(body, Direction.TO_CONTROL, keys.key_of)
    if envelope.expires_at < aws.clock():
        raise Expired(f"a {envelope.kind[:40]} expired before it arrived")
    if envelope.kind not in kinds:
        raise UnknownKind(f"{envelope.kind[:40]!r} has no place on this queue")
    return envelope


def _heard(envelope: Envelope) -> Instance | None:
    """The instance whose guest it is that reports; None for a row that a restore has lost.

    Refuses, and counts, a guest of an earlier generation: it was replaced or expelled, and nothing
    that it says changes anything, not even what had been asked of itself. One of a later generation
    than the row tells was made by us: a restore has set the row back, and its answers count.
    """
    found = instances.find_instance(envelope.instance_id)
    if found is None or found.generation < envelope.generation:
        return None
    if found.generation > envelope.generation:
        last_reports.count_stale(envelope.instance_id)
        raise Superseded("a report of a guest that is not the instance's any more")
    return found


def _result(envelope: Envelope, _: Instance | None) -> bool:
    new = True
    try:
        row = commands.store_answer(
            envelope.id,
            envelope.instance_id,
            envelope.generation,
            envelope.result,
            envelope.error,
        )
    except ConditionFailed:
        row = _known_command(envelope)  # a second delivery: what followed may have been lost
        new = False
    traces.follow(row, envelope)
    if new:
        traces.tell_answer(row, envelope)
    commands.settle(row)
    return new


def _known_command(envelope: Envelope) -> Command:
    """The command that a report names, when it was for the guest that reports."""
    found = rows.find(envelope.id)
    if found is None:
        raise EnvelopeError("a report on a command that is not known")
    _require_sender(envelope, found.instance_id, int(found.generation))
    return found


def _require_sender(envelope: Envelope, instance_id: str, generation: int) -> None:
    """Refuse, and count, a report of another guest or of another generation."""
    if (envelope.instance_id, envelope.generation) != (instance_id, generation):
        last_reports.count_stale(envelope.instance_id)
        raise Superseded("a report of a guest that it is not for")


def _progress(envelope: Envelope, _: Instance | None) -> bool:
    try:
        told = msgspec.convert(envelope.result, Progress)
    except msgspec.ValidationError:
        raise Malformed(f"a progress of {envelope.instance_id} that names no stage") from None
    guest, order = (envelope.instance_id, envelope.generation), (envelope.epoch, envelope.seq)
    try:
        stage = commands.printable(told.stage, MOST_STAGE)
        row = rows.progress(envelope.id, *guest, order, stage, told.again_seconds)
    except ConditionFailed:
        traces.follow(_known_command(envelope), envelope)
        return False
    traces.follow(row, envelope)
    return True


def _root(envelope: Envelope, found: Instance | None) -> bool:
    _require_known(envelope, found)
    try:
        changes.record_root_told(envelope.instance_id, envelope.generation)
    except ConditionFailed:  # known already, or superseded since the look
        return False
    return True


def _require_known(envelope: Envelope, found: Instance | None) -> None:
    """Refuse what can only be kept with an instance."""
    if found is None:
        raise Superseded(f"a {envelope.kind} of an instance that is not known")


def _event(envelope: Envelope, found: Instance | None) -> bool:
    """What a guest tells of its datastore goes into the instance's feed, in bounded plain text."""
    _require_known(envelope, found)
    told = envelope.result or {}
    kind, text = (
        each if isinstance(each, str) else "" for each in (told.get("kind"), told.get("text"))
    )
    now = aws.clock()
    issued = min(max(envelope.issued_at, now - OLDEST_EVENT_SECONDS), now)
    events.record_once_a_second(
        envelope.instance_id,
        f"guest.{kind if kind in _EVENTS else 'said'}",
        commands.printable(text, LONGEST_EVENT),
        issued,
        tenant_id=found.tenant_id if found else None,
    )
    return True


_KINDS: Final[dict[str, Callable[[Envelope, Instance | None], bool]]] = {
    "result": _result,
    "progress": _progress,
    "root": _root,
    "event": _event,
}
"""What each does, and whether it is news."""

KINDS: Final = frozenset(_KINDS)
"""The kinds of report that the conductor's queue carries."""
