"""What each kind of report on the conductor's queue does: result, progress, root, event.

Results apply once per command, progress once per (command, epoch, seq). Whatever cannot be trusted
goes to the dead letters with its reason; a guest of an older generation is refused and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from typing import Final

import msgspec
from pynamodb.exceptions import UpdateError

from chalicelib import aws, crash
from chalicelib.bus import commands, keys, queues
from chalicelib.bus.envelope import (
    Direction,
    Envelope,
    EnvelopeError,
    Malformed,
    open_sealed,
)
from chalicelib.lifecycle import ServiceStatus
from chalicelib.outages import is_outage
from chalicelib.store import events, instances
from chalicelib.store.base import ConditionFailed, condition_failed
from chalicelib.store.models import Command, Instance, ServiceStatusRow

MOST_STAGE: Final = 255
LONGEST_EVENT: Final = 300
OLDEST_EVENT_SECONDS: Final = 86400.0
"""An event that says it is older is told as of then."""
_EVENTS: Final = frozenset({*map(str, ServiceStatus), "repaired"})

log = logging.getLogger(__name__)


class Expired(EnvelopeError):
    """A message that outlived its expiry."""


class Superseded(EnvelopeError):
    """A message of a guest that is no longer the instance's."""


class UnknownKind(EnvelopeError):
    """A kind of report that this queue does not carry."""


class Progress(msgspec.Struct, frozen=True):
    """What a report on a running command tells."""

    stage: str = ""


def receive(body: str) -> None:
    """Apply one message of the conductor's queue; a poisoned one is buried with its reason."""
    with crash.scope("conductor"):
        try:
            envelope = open_report(body, kinds=_KINDS)
            _KINDS[envelope.kind](envelope)
        except EnvelopeError as error:
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


def count_stale(instance_id: str) -> None:
    """Count a report of an older generation on the row of the present one, best effort.

    Whoever is superseded may send as much as it likes; what it sends is refused all the same.
    """
    try:
        ServiceStatusRow(instance_id).update(
            actions=[ServiceStatusRow.stale_reports.add(1)],
            condition=ServiceStatusRow.instance_id.exists(),
        )
    except UpdateError as error:
        if is_outage(error):
            log.warning("a stale report of %s was not counted", instance_id)
        elif not condition_failed(error):
            raise


def _result(envelope: Envelope) -> None:
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
    commands.settle(row)


def _known_command(envelope: Envelope) -> Command:
    """The command that a report names, when it was for the guest that reports."""
    found = commands.get_command(envelope.id)
    if found is None:
        raise EnvelopeError("a report on a command that is not known")
    _require_sender(envelope, found.instance_id, int(found.generation))
    return found


def _require_sender(envelope: Envelope, instance_id: str, generation: int) -> None:
    """Refuse, and count, a report of another guest or of another generation."""
    if (envelope.instance_id, envelope.generation) != (instance_id, generation):
        count_stale(envelope.instance_id)
        raise Superseded("a report of a guest that it is not for")


def _progress(envelope: Envelope) -> None:
    """Clause: (epoch, seq) is later than the one applied last."""
    try:
        stage = msgspec.convert(envelope.result, Progress).stage
    except msgspec.ValidationError:
        raise Malformed(f"a progress of {envelope.instance_id} that names no stage") from None
    row = Command(envelope.id)
    later = (
        Command.progress_epoch.does_not_exist()
        | (Command.progress_epoch < envelope.epoch)
        | ((Command.progress_epoch == envelope.epoch) & (Command.progress_seq < envelope.seq))
    )
    try:
        row.update(
            actions=[
                Command.stage.set(commands.printable(stage, MOST_STAGE)),
                Command.progress_epoch.set(envelope.epoch),
                Command.progress_seq.set(envelope.seq),
            ],
            condition=(Command.instance_id == envelope.instance_id)
            & (Command.generation == envelope.generation)
            & Command.answered.does_not_exist()
            & later,
        )
    except UpdateError as error:
        if not condition_failed(error):
            raise
        _known_command(envelope)


def _root(envelope: Envelope) -> None:
    """Clauses: the instance is of that generation; root was not reported before."""
    try:
        Instance(envelope.instance_id).update(
            actions=[
                Instance.root_enabled_at.set(aws.clock()),
                Instance.root_enabled_by.set("guest"),
            ],
            condition=(Instance.generation == envelope.generation)
            & Instance.root_enabled_at.does_not_exist(),
        )
    except UpdateError as error:
        if not condition_failed(error):
            raise
        found = instances.find_instance(envelope.instance_id)
        _require_sender(envelope, envelope.instance_id, int(found.generation) if found else 0)


def _event(envelope: Envelope) -> None:
    """What a guest tells of its datastore goes into the instance's feed, in bounded plain text."""
    found = instances.find_instance(envelope.instance_id)
    _require_sender(envelope, envelope.instance_id, int(found.generation) if found else 0)
    told = envelope.result or {}
    kind = str(told.get("kind", ""))
    text = commands.printable(str(told.get("text", "")), LONGEST_EVENT)
    row = events.new_event(
        envelope.instance_id,
        f"guest.{kind if kind in _EVENTS else 'said'}",
        text,
        tenant_id=found.tenant_id if found else None,
    )
    # One row, however often the report arrives; and one a second of each kind, for a guest may
    # tell without end.
    now = aws.clock()
    issued = min(max(envelope.issued_at, now - OLDEST_EVENT_SECONDS), now)
    row.id = f"{int(issued) * 1000:013d}-{row.kind}"
    row.save()


_KINDS: Final[dict[str, Callable[[Envelope], None]]] = {
    "result": _result,
    "progress": _progress,
    "root": _root,
    "event": _event,
}

KINDS: Final = frozenset(_KINDS)
"""The kinds of report that the conductor's queue carries."""
