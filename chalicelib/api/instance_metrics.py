"""What an instance's database counts of itself, as its guest has reported it last.

    GET instances/{id}/metrics

Nobody is asked: a row is read, which is as old as it says. Trove has nothing like it.
"""

from __future__ import annotations

from typing import Final

from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.instances import PATH
from chalicelib.api.response import View
from chalicelib.api.times import Naive, naive
from chalicelib.bus.contract import metrics
from chalicelib.store.instances import service_status
from chalicelib.store.models import ServiceStatusRow


class VolumeMetrics(View, frozen=True):
    """The data volume, in GiB."""

    used: float | None = None
    total: float | None = None


class MetricsView(View, frozen=True, kw_only=True):
    """The latest metrics; null is what the database does not tell, or could not. A rate and
    `cache_hits` (a share) are of the time between its last two reports.
    """

    instance_id: str
    updated: Naive | None
    connections: int | None
    connection_limit: int | None
    per_second: float | None
    cache_hits: float | None
    replication_position: str | None
    volume: VolumeMetrics


class OneMetrics(View, frozen=True):
    """The metrics of an instance."""

    metrics: MetricsView


def show(request: Request) -> Response:
    """The latest metrics of an instance."""
    instance = instance_of(request)
    reported = service_status(instance.id)
    told = metrics.parse(reported.metrics) if reported is not None else metrics.NOTHING
    view = MetricsView(
        instance_id=instance.id,
        updated=naive(reported.updated) if reported is not None else None,
        connections=told.connections,
        connection_limit=told.connection_limit,
        per_second=told.per_second,
        cache_hits=told.cache_hits,
        replication_position=told.position,
        volume=_volume(reported),
    )
    return Response(200, OneMetrics(view))


def _volume(reported: ServiceStatusRow | None) -> VolumeMetrics:
    if reported is None or reported.volume_used is None or reported.volume_total is None:
        return VolumeMetrics()
    return VolumeMetrics(float(reported.volume_used), float(reported.volume_total))


ROUTES: Final = (
    Route("GET", f"{PATH}/{{instance}}/metrics", show, "instance:metrics", answers=OneMetrics),
)
