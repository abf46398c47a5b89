"""Heartbeats: ordered by (generation, epoch, seq), never by a clock, and written only for a reason.

A batch reads the rows it is about in one call. A row is written when the status changed, when the
last write is no longer recent, or when a new epoch began.
"""

from __future__ import annotations

import logging
from typing import Annotated, Final

import msgspec

from chalicelib import aws, crash
from chalicelib.bus.envelope import Envelope, EnvelopeError, Malformed, Number
from chalicelib.conductor.reports import count_stale, open_report
from chalicelib.lifecycle import ServiceStatus
from chalicelib.settings import settings
from chalicelib.store import events, last_reports
from chalicelib.store.last_reports import LastReport, Reported

RECENT_FRACTION: Final = 0.8
GIB_RESOLUTION: Final = 0.1

_KNOWN: Final = frozenset(map(str, ServiceStatus))

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
        return self.status if self.status in _KNOWN else str(ServiceStatus.UNKNOWN)


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
        ids = sorted({instance_id for instance_id, _ in latest})
        rows = last_reports.read(ids) if ids else {}
        for (instance_id, _), (envelope, report) in latest.items():
            _apply(envelope, report, rows.get(instance_id))


def _open(body: str) -> tuple[Envelope, Report]:
    envelope = open_report(body, kinds=("heartbeat",))
    try:
        return envelope, msgspec.convert(envelope.result or {}, Report)
    except msgspec.ValidationError:
        raise Malformed("a heartbeat that reports something else") from None


def _apply(envelope: Envelope, report: Report, last: LastReport | None) -> None:
    if last is None or last.order[0] < envelope.generation:
        # No such guest, or the write that made its row is not visible yet: the next one will tell.
        log.info("a heartbeat of a guest without a row")
        return
    if last.order[0] > envelope.generation:
        count_stale(envelope.instance_id)
        return
    if not _worth_writing(envelope, last, report):
        return
    volume = report.volume or VolumeUse()
    reported = Reported(
        order=_order(envelope),
        status=report.known_status,
        rejected=report.rejected,
        volume_used=volume.used,
        volume_total=volume.total,
    )
    if not last_reports.write(envelope.instance_id, reported):
        log.info("a heartbeat that was overtaken")


def _worth_writing(envelope: Envelope, last: LastReport, report: Report) -> bool:
    if _order(envelope) <= last.order:
        return False
    # One after a gap is written: what is missing may say something else and still arrive, and
    # would pass for news if the number of this one were not stored.
    _, epoch, seq = last.order
    gap = envelope.seq != seq + 1
    used = report.volume.used if report.volume else None
    moved = used is not None and abs(used - (last.volume_used or 0)) >= GIB_RESOLUTION
    recent = aws.clock() - last.updated < settings().heartbeat_seconds * RECENT_FRACTION
    return (
        not recent
        or gap
        or moved
        or report.known_status != last.status
        or envelope.epoch != epoch
        or report.rejected != last.rejected
    )


def _order(envelope: Envelope) -> tuple[int, int, int]:
    return envelope.generation, envelope.epoch, envelope.seq
