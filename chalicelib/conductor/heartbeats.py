"""Heartbeats: ordered by (generation, epoch, seq), never by a clock, and written only for a reason.

A batch reads the rows it is about in one call. A row is written when the status changed, when the
last write is no longer recent, or when a new epoch began.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final

import msgspec
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.update import Action

from chalicelib import aws, crash
from chalicelib.bus.envelope import Envelope, EnvelopeError, Malformed, Number
from chalicelib.conductor.reports import count_stale, open_report
from chalicelib.lifecycle import ServiceStatus
from chalicelib.settings import settings
from chalicelib.store import events, instances
from chalicelib.store.base import condition_failed
from chalicelib.store.models import ServiceStatusRow

RECENT_FRACTION: Final = 0.8
GIB_RESOLUTION: Final = 0.1

log = logging.getLogger(__name__)

Size = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class VolumeUse(msgspec.Struct, frozen=True):
    """How full the data volume is, in GiB."""

    used: Size | None = None
    total: Size | None = None


class Report(msgspec.Struct, frozen=True):
    """What a heartbeat reports; one that does not fit must not hold up the batch it came in."""

    status: str = ""
    volume: VolumeUse | None = None
    rejected: Number = 0

    @property
    def known_status(self) -> str:
        """The status, or `unknown` for one that this release does not know."""
        return self.status if self.status in set(ServiceStatus) else str(ServiceStatus.UNKNOWN)


def receive(bodies: list[str]) -> None:
    """Apply a batch of heartbeats; the latest of each guest counts, what is refused is recorded."""
    with crash.scope("heartbeats"):
        latest: dict[tuple[str, int], tuple[Envelope, Report]] = {}
        for body in bodies:
            try:
                envelope, report = _open(body)
            except EnvelopeError as error:
                log.warning("a heartbeat was refused: %s", error)
                events.record(events.BUS, "heartbeat.refused", f"{type(error).__name__}: {error}")
                continue
            guest = envelope.instance_id, envelope.generation
            if guest not in latest or _order(latest[guest][0]) < _order(envelope):
                latest[guest] = envelope, report
        ids = {instance_id for instance_id, _ in latest}
        rows = instances.service_statuses(sorted(ids)) if ids else {}
        for (instance_id, _), (envelope, report) in latest.items():
            _apply(envelope, report, rows.get(instance_id))


def _open(body: str) -> tuple[Envelope, Report]:
    envelope = open_report(body, kinds=("heartbeat",))
    try:
        return envelope, msgspec.convert(envelope.result or {}, Report)
    except msgspec.ValidationError:
        raise Malformed("a heartbeat that reports something else") from None


def _apply(envelope: Envelope, report: Report, row: ServiceStatusRow | None) -> None:
    if row is None or row.generation < envelope.generation:
        # No such guest, or the write that made its row is not visible yet: the next one will tell.
        log.info("a heartbeat of a guest without a row")
        return
    if row.generation > envelope.generation:
        count_stale(envelope.instance_id)
        return
    if not _worth_writing(envelope, row, report):
        return
    try:
        row.update(actions=_actions(envelope, report), condition=_is_later(envelope))
    except UpdateError as error:
        if not condition_failed(error):
            raise
        log.info("a heartbeat that was overtaken")


def _worth_writing(envelope: Envelope, row: ServiceStatusRow, report: Report) -> bool:
    if _order(envelope) <= (int(row.generation), int(row.epoch), int(row.seq)):
        return False
    # One after a gap is written: what is missing may say something else and still arrive, and
    # would pass for news if the number of this one were not stored.
    gap = envelope.seq != row.seq + 1
    used = report.volume.used if report.volume else None
    moved = used is not None and abs(used - (row.volume_used or 0)) >= GIB_RESOLUTION
    recent = aws.clock() - row.updated < settings().heartbeat_seconds * RECENT_FRACTION
    return (
        not recent
        or gap
        or moved
        or report.known_status != row.status
        or envelope.epoch != row.epoch
        or report.rejected != int(row.rejected)
    )


def _actions(envelope: Envelope, report: Report) -> list[Action]:
    volume = report.volume or VolumeUse()
    actions: list[Action] = [
        ServiceStatusRow.status.set(report.known_status),
        ServiceStatusRow.epoch.set(envelope.epoch),
        ServiceStatusRow.seq.set(envelope.seq),
        ServiceStatusRow.updated.set(aws.clock()),
        ServiceStatusRow.rejected.set(report.rejected),
    ]
    for attribute, size in (
        (ServiceStatusRow.volume_used, volume.used),
        (ServiceStatusRow.volume_total, volume.total),
    ):
        if size is not None:
            actions.append(attribute.set(size))
    return actions


def _is_later(envelope: Envelope) -> Any:
    """Clauses: same generation (a zombie); later than what is stored (reorder, duplicates)."""
    same = ServiceStatusRow.generation == envelope.generation
    return same & (
        (ServiceStatusRow.epoch < envelope.epoch)
        | ((ServiceStatusRow.epoch == envelope.epoch) & (ServiceStatusRow.seq < envelope.seq))
    )


def _order(envelope: Envelope) -> tuple[int, int, int]:
    return envelope.generation, envelope.epoch, envelope.seq
