"""Heartbeats: ordered by (generation, epoch, seq), never by a clock, and written only for a reason.

A batch reads the rows it is about in one call. A row is written when the status changed, when it
would be older than half the expiry before the next heartbeat, or when a new epoch began.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final

import msgspec

from chalicelib import aws, batch, crash, tracing
from chalicelib.bus import keys
from chalicelib.bus.contract import archiving, metrics
from chalicelib.bus.contract.archiving import Archiving
from chalicelib.bus.contract.metrics import EngineMetrics
from chalicelib.bus.contract.values import AgentVersion
from chalicelib.bus.envelope import Envelope, EnvelopeError, Malformed, Number
from chalicelib.conductor import fleet_metrics, logs_archived
from chalicelib.conductor.reports import open_report
from chalicelib.conductor.tally import Tally
from chalicelib.errors import CofferError
from chalicelib.lifecycle import READY, ServiceStatus
from chalicelib.metrics import HEARTBEATS, HEARTBEATS_LATE, HEARTBEATS_REFUSED
from chalicelib.outages import OUTAGES, is_outage
from chalicelib.settings import settings
from chalicelib.store import archives, last_reports
from chalicelib.store.last_reports import LastReport, Reported
from chalicelib.store.models import Archive

GIB_RESOLUTION: Final = 0.1
MOST_REASON: Final = 300
GIB_DIGITS: Final = 3  # a MiB
REFUSED: Final = "heartbeat.refused"
MOST_OUTAGES: Final = 3
"""Writes that the table may refuse, after all tries, before the rest of a batch is left."""

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
    release: Number = 0
    version: str = ""
    reason: str = ""
    metrics: Any = None
    archive: Any = None

    @property
    def told_archive(self) -> Archiving | None:
        """How the archive of its log is doing, as far as that fits."""
        return archiving.read(self.archive)

    @property
    def told_metrics(self) -> EngineMetrics:
        """What its engine counts, as far as that fits."""
        return metrics.read(self.metrics)

    @property
    def told_version(self) -> str:
        """The version of its agent; "" of one that is none."""
        try:
            return msgspec.convert(self.version, AgentVersion)
        except msgspec.ValidationError:
            return ""

    @property
    def told_reason(self) -> str:
        """Why the status is what it is: a bounded piece of plain text."""
        return "".join(each for each in self.reason if each.isprintable())[:MOST_REASON]

    @property
    def known_status(self) -> str:
        """The status, or `unknown` for one that this release does not know."""
        return self.status if self.status in _KNOWN else str(ServiceStatus.UNKNOWN)


class Beat(msgspec.Struct, frozen=True):
    """A heartbeat that can be trusted, and the id of the message that brought it."""

    envelope: Envelope
    report: Report
    message_id: str

    @property
    def order(self) -> tuple[int, int, int]:
        """What decides which of two is the later one."""
        return self.envelope.generation, self.envelope.epoch, self.envelope.seq


def receive(event: dict[str, Any]) -> batch.Answer:
    """Apply a batch: of each guest the latest, each by itself.

    What cannot be trusted is counted, after the others are served. What the store does not take now
    comes again; by then a later one may have replaced it.
    """
    with tracing.span(log, "heartbeats") as span, crash.scope("heartbeats"):
        refused = Tally(REFUSED)
        latest, unopened = _latest(event["Records"], refused)
        failed = unopened + _apply_each(latest)
        fleet_metrics.publish([_told(beat) for beat in latest])
        _tell(span, len(event["Records"]), refused.total, _late(latest), len(failed))
        try:
            refused.store()
        except OUTAGES:
            log.exception("refused heartbeats were not counted")
    return {"batchItemFailures": batch.failures(failed)}


def _told(beat: Beat) -> fleet_metrics.Told:
    volume = beat.report.volume or VolumeUse()
    return fleet_metrics.Told(
        beat.envelope.instance_id,
        beat.report.told_metrics,
        volume.used,
        volume.total,
        _log_lag(beat),
    )


def _log_lag(beat: Beat) -> float | None:
    """For how long what it commits has not been archived; None without an archive, and of one that
    commits nothing since it does not run."""
    said = beat.report.told_archive
    if said is None or not said.until_ms or beat.report.status not in READY:
        return None
    return round(max(beat.envelope.issued_at - said.until_ms / 1000, 0.0), 1)


def _tell(span: tracing.Span, count: int, refused: int, late: int, failed: int) -> None:
    """One line of the batch, whatever is in it: there are more heartbeats than all else."""
    span.tell(count=count, refused=refused or None, late=late or None, failed=failed or None)
    span.measure(HEARTBEATS, count)
    if late:
        span.measure(HEARTBEATS_LATE, late)
    if refused:
        span.measure(HEARTBEATS_REFUSED, refused)


def _late(beats: list[Beat]) -> int:
    """How many came when the next one of their guest was due."""
    due = aws.clock() - settings().heartbeat_seconds
    return sum(beat.envelope.issued_at < due for beat in beats)


def _latest(records: list[dict[str, Any]], refused: Tally) -> tuple[list[Beat], list[str]]:
    """The latest of each guest, and the ids of the messages that cannot be opened yet."""
    unopened: list[str] = []
    latest: dict[tuple[str, int], Beat] = {}
    for record in records:
        try:
            envelope, report = _open(record["body"])
        except EnvelopeError as error:
            refused.add(f"{type(error).__name__}: {error}")
            continue
        except keys.NotYetKnown:
            unopened.append(record["messageId"])
            continue
        beat = Beat(envelope, report, record["messageId"])
        guest = envelope.instance_id, envelope.generation
        if guest not in latest or latest[guest].order < beat.order:
            latest[guest] = beat
    return list(latest.values()), unopened


def _apply_each(beats: list[Beat]) -> list[str]:
    """The ids of the messages that failed. In an outage only the first few are tried."""
    if not beats:
        return []
    try:
        rows = last_reports.read(sorted({beat.envelope.instance_id for beat in beats}))
        wanted = {told.id for beat in beats if (told := beat.report.told_archive) is not None}
        logs = archives.find_archives(wanted) if wanted else {}
    except (CofferError, *OUTAGES) as error:
        log.warning("the last reports cannot be read: %s", type(error).__name__)
        return [beat.message_id for beat in beats]
    failed: list[str] = []
    outages = 0
    for beat in beats:
        if outages >= MOST_OUTAGES:
            failed.append(beat.message_id)
            continue
        try:
            last = rows.get(beat.envelope.instance_id)
            _apply(beat, last)
            _apply_to_archive(beat, last, logs)
        except Exception as error:
            log.exception("the heartbeat of %s failed", beat.envelope.instance_id)
            failed.append(beat.message_id)
            outages += is_outage(error)
    return failed


def _open(body: str) -> tuple[Envelope, Report]:
    envelope = open_report(body, kinds=("heartbeat",))
    try:
        return envelope, msgspec.convert(envelope.result or {}, Report)
    except msgspec.ValidationError:
        raise Malformed(f"a heartbeat of {envelope.instance_id} that reports no state") from None


def _apply(beat: Beat, last: LastReport | None) -> None:
    envelope, report = beat.envelope, beat.report
    if last is None or last.order[0] < envelope.generation:
        # No such guest, or the write that made its row is not visible yet: the next one will tell.
        log.info("a heartbeat of a guest without a row")
        return
    if last.order[0] > envelope.generation:
        last_reports.count_stale(envelope.instance_id)
        return
    if not _worth_writing(beat, last):
        return
    volume = report.volume or VolumeUse()
    reported = Reported(
        order=beat.order,
        status=report.known_status,
        rejected=report.rejected,
        release=report.release,
        version=report.told_version,
        reason=report.told_reason,
        volume_used=_stored(volume.used),
        volume_total=_stored(volume.total),
        metrics=msgspec.json.encode(report.told_metrics).decode(),
    )
    if not last_reports.write(envelope.instance_id, reported):
        log.info("a heartbeat that was overtaken")


def _apply_to_archive(beat: Beat, last: LastReport | None, logs: dict[str, Archive]) -> None:
    """What it tells of the archive of its log, which is its own and of the present generation."""
    said, envelope = beat.report.told_archive, beat.envelope
    if said is not None and last is not None and last.order[0] == envelope.generation:
        logs_archived.tell(logs, envelope.instance_id, beat.order, said)


def _stored(size: float | None) -> float | None:
    """A size as DynamoDB takes it: it refuses what lies nearer to zero than 1e-130."""
    return None if size is None else round(size, GIB_DIGITS)


def _worth_writing(beat: Beat, last: LastReport) -> bool:
    if beat.order <= last.order:
        return False
    # One after a gap is written: what is missing may say something else and still arrive, and
    # would pass for news if the number of this one were not stored.
    _, epoch, seq = last.order
    envelope, report = beat.envelope, beat.report
    gap = envelope.seq != seq + 1
    used = report.volume.used if report.volume else None
    moved = used is not None and abs(used - (last.volume_used or 0)) >= GIB_RESOLUTION
    chosen = settings()
    next_age = aws.clock() - last.updated + chosen.heartbeat_seconds
    recent = next_age <= chosen.heartbeat_expiry_seconds / 2
    return (
        not recent
        or gap
        or moved
        or report.known_status != last.status
        or envelope.epoch != epoch
        or report.rejected != last.rejected
    )
