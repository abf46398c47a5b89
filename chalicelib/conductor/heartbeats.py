"""Heartbeats: ordered by (generation, epoch, seq), never by a clock, and written only for a reason.

A batch reads the rows it is about in one call. A row is written when the status changed, when the
last write is no longer recent, or when a new epoch began.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from pynamodb.exceptions import UpdateError
from pynamodb.expressions.update import Action

from chalicelib import aws, crash
from chalicelib.bus.envelope import Envelope, EnvelopeError
from chalicelib.conductor.reports import count_stale, open_report
from chalicelib.lifecycle import ServiceStatus
from chalicelib.settings import settings
from chalicelib.store import events, instances
from chalicelib.store.base import condition_failed
from chalicelib.store.models import ServiceStatusRow

RECENT_FRACTION: Final = 0.8
GIB_RESOLUTION: Final = 0.1

log = logging.getLogger(__name__)


def receive(bodies: list[str]) -> None:
    """Apply a batch of heartbeats; the latest of each guest counts, what is refused is recorded."""
    with crash.scope("heartbeats"):
        latest: dict[str, Envelope] = {}
        for body in bodies:
            try:
                envelope = open_report(body, kinds=("heartbeat",))
            except EnvelopeError as error:
                log.warning("a heartbeat was refused: %s", error)
                events.record(events.BUS, "heartbeat.refused", f"{type(error).__name__}: {error}")
                continue
            known = latest.get(envelope.instance_id)
            if known is None or _order(known) < _order(envelope):
                latest[envelope.instance_id] = envelope
        rows = instances.service_statuses(latest) if latest else {}
        for instance_id, envelope in latest.items():
            _apply(envelope, rows.get(instance_id))


def _apply(envelope: Envelope, row: ServiceStatusRow | None) -> None:
    if row is None or row.generation < envelope.generation:
        # No such guest, or the write that made its row is not visible yet: the next one will tell.
        log.info("a heartbeat of a guest without a row")
        return
    if row.generation > envelope.generation:
        count_stale(envelope.instance_id)
        return
    report = envelope.result or {}
    if not _worth_writing(envelope, row, report):
        return
    try:
        row.update(actions=_actions(envelope, report), condition=_is_later(envelope))
    except UpdateError as error:
        if not condition_failed(error):
            raise
        log.info("a heartbeat that was overtaken")


def _worth_writing(envelope: Envelope, row: ServiceStatusRow, report: dict[str, Any]) -> bool:
    if _order(envelope) <= (int(row.generation), int(row.epoch), int(row.seq)):
        return False
    used = (report.get("volume") or {}).get("used")
    moved = used is not None and abs(used - (row.volume_used or 0)) >= GIB_RESOLUTION
    recent = aws.clock() - row.updated < settings().heartbeat_seconds * RECENT_FRACTION
    return (
        not recent
        or moved
        or report.get("status") != row.status
        or envelope.epoch != row.epoch
        or int(report.get("rejected", 0)) != int(row.rejected)
    )


def _actions(envelope: Envelope, report: dict[str, Any]) -> list[Action]:
    status = report.get("status")
    known = status if status in set(ServiceStatus) else ServiceStatus.UNKNOWN
    volume = report.get("volume") or {}
    actions: list[Action] = [
        ServiceStatusRow.status.set(str(known)),
        ServiceStatusRow.epoch.set(envelope.epoch),
        ServiceStatusRow.seq.set(envelope.seq),
        ServiceStatusRow.updated.set(aws.clock()),
        ServiceStatusRow.rejected.set(int(report.get("rejected", 0))),
    ]
    for attribute, key in (
        (ServiceStatusRow.volume_used, "used"),
        (ServiceStatusRow.volume_total, "total"),
    ):
        if isinstance(volume.get(key), int | float):
            actions.append(attribute.set(volume[key]))
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
