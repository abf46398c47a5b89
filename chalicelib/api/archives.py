"""Archives of logs: to which moments and positions an instance can be restored, also when it is
gone. Ours."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from chalicelib import aws
from chalicelib.api.backups import PROJECT
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.response import View, one_of
from chalicelib.api.times import Naive, naive
from chalicelib.domain import archives as rules
from chalicelib.errors import NotFound
from chalicelib.store import archives as store
from chalicelib.store import backups, instances
from chalicelib.store.models import Archive, Backup

Moment = Annotated[
    str,
    msgspec.Meta(
        description="A time of ISO 8601 with milliseconds, UTC; of MariaDB the end of a second."
    ),
]
Position = Annotated[
    str, msgspec.Meta(description="Of MariaDB a transaction (GTID), of PostgreSQL a place (LSN).")
]


class ArchiveView(View, frozen=True, kw_only=True):
    """A run of an instance's log without a gap. A new instance can be made of each moment from
    `restorable_from` to `restorable_until` (`restorePoint` with `instance` and `time`); both are
    null while no complete backup is there that the log goes on from. `restorable_from_position` and
    `restorable_until_position` are the same of places in the log (`position` instead of `time`).
    `lag_seconds` is for how long
    what the database commits has not been in the store, `waiting_bytes` what of the log waits on
    the volume; `reason` why it waits, or has ended."""

    id: str
    instance_id: str
    schedule_id: str
    created: Naive
    state: Annotated[str, one_of(rules.State)]
    reason: str | None
    restorable_from: Moment | None
    restorable_until: Moment | None
    restorable_from_position: Position | None
    restorable_until_position: Position | None
    lag_seconds: float | None
    waiting_bytes: int


class ArchiveList(View, frozen=True):
    """The archives of an instance, newest first."""

    archives: list[ArchiveView]


def of_instance(request: Request) -> Response:
    """The archives of an instance's log, newest first: the moments that it can be restored to."""
    instance_id, tenant_id = request.id_of("instance"), request.context.visible_tenant
    found = [
        row
        for row in store.of_instance(instance_id)
        if tenant_id is None or row.tenant_id == tenant_id
    ]
    if found:
        request.audit.of_instance(instance_id, found[0].tenant_id)
    else:
        row = instances.get_instance(instance_id, tenant_id)
        request.audit.of_instance(row.id, row.tenant_id)
    bases = backups.all_of(instance_id) if found else []
    return Response(200, ArchiveList([_view(row, bases) for row in found]))


def _view(row: Archive, bases: list[Backup]) -> ArchiveView:
    possible = rules.range_of(row, bases)
    first, last = rules.positions_of(row, bases) or (None, None)
    runs = row.state == rules.State.RUNS
    lag = aws.clock() - row.until_ms / 1000 if runs and row.until_ms is not None else None
    return ArchiveView(
        id=row.id,
        instance_id=row.instance_id,
        schedule_id=row.schedule_id,
        created=naive(row.created),
        state=row.state,
        reason=row.reason,
        restorable_from=rules.shown(possible.since_ms) if possible else None,
        restorable_until=rules.shown(possible.until_ms) if possible else None,
        restorable_from_position=first,
        restorable_until_position=last,
        lag_seconds=round(max(lag, 0.0), 1) if lag is not None else None,
        waiting_bytes=int(row.waiting_bytes),
    )


ROUTES: Final = (
    Route(
        "GET",
        f"{PROJECT}/instances/{{instance}}/archives",
        of_instance,
        "instance:archives",
        answers=ArchiveList,
        refuses=(NotFound,),
    ),
)
