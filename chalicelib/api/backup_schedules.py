"""Schedules of backups: list, show, create, change, delete. Ours: Trove leaves them to Mistral."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final

import msgspec

from chalicelib import engines
from chalicelib.api import keeping_log, planning
from chalicelib.api.backups import PROJECT
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.links import Next
from chalicelib.api.listing import LONGEST, Short
from chalicelib.api.paging import Paged, limit_of, marker_of
from chalicelib.api.response import View
from chalicelib.api.schema import Body, Examples, Given, Name
from chalicelib.api.times import Naive, naive
from chalicelib.bus import contract
from chalicelib.bus.ability import require_able, require_offered
from chalicelib.domain import backups as rules
from chalicelib.domain.flows import CREATE_BACKUP
from chalicelib.domain.schedules import begins_at, plan_of
from chalicelib.engines.engine import MOST_CHAIN
from chalicelib.errors import BadRequest, Conflict, NotFound, NotSupported, OverLimit
from chalicelib.store import instances
from chalicelib.store import schedules as store
from chalicelib.store.base import Contended, races
from chalicelib.store.models import BackupSchedule, Instance

PATH: Final = f"{PROJECT}/backup_schedules"
BUSY: Final = "The schedule is being changed by others at the moment; try again."
MOST_KEPT: Final = 500
MOST_SLOTS_TOLD: Final = 5

Crontab = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Hours = Annotated[int, msgspec.Meta(ge=1, le=24 * 31)]
Zone = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Chain = Annotated[int, msgspec.Meta(ge=1, le=MOST_CHAIN)]
Count = Annotated[int, msgspec.Meta(ge=1, le=MOST_KEPT)]
Days = Annotated[int, msgspec.Meta(ge=1, le=3650)]


class ScheduleChange(Body, frozen=True):
    """What a schedule has from now on; what is not given stays.

    `cron` takes the place of an `interval_hours`, and the other way round. Each `full_every`-th
    backup is full, the rest build on the one before. `keep_count` and `keep_days` null keep all;
    `verify_every` null has none tried out.
    """

    name: Name | msgspec.UnsetType = msgspec.UNSET
    cron: Crontab | msgspec.UnsetType = msgspec.UNSET
    interval_hours: Hours | msgspec.UnsetType = msgspec.UNSET
    time_zone: Zone | msgspec.UnsetType = msgspec.UNSET
    full_every: Chain | msgspec.UnsetType = msgspec.UNSET
    keep_count: Count | msgspec.UnsetType | None = msgspec.UNSET
    keep_days: Days | msgspec.UnsetType | None = msgspec.UNSET
    verify_every: Count | msgspec.UnsetType | None = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    point_in_time: bool | msgspec.UnsetType = msgspec.UNSET


class ScheduleBody(Body, frozen=True):
    """A schedule of an instance: at the times of a `cron`, or every so many hours.

    Each `full_every`-th backup is full, the rest build on the one before. What is beyond
    `keep_count` or older than `keep_days` is deleted, but for what a backup that is kept builds on.
    Each `verify_every`-th backup is tried out.
    With `point_in_time` the database's log is archived while it is enabled, and an instance can be
    made of any moment since the oldest backup that is kept; its backups go where the log goes, the
    deployment's own store, whatever a strategy says.
    """

    name: Name
    instance: Given
    cron: Crontab | None = None
    interval_hours: Hours | None = None
    time_zone: Zone = "UTC"
    full_every: Chain = 1
    keep_count: Count | None = None
    keep_days: Days | None = None
    verify_every: Count | None = None
    enabled: bool = True
    point_in_time: bool = False


class NewSchedule(Body, frozen=True):
    """A schedule to make."""

    EXAMPLES: ClassVar[Examples] = (
        {
            "backup_schedule": {
                "name": "nightly",
                "instance": "41c17c74-6146-4d87-b45c-4c23c3a89f15",
                "cron": "30 2 * * *",
                "time_zone": "Europe/Berlin",
                "full_every": 7,
                "keep_days": 30,
                "point_in_time": True,
            }
        },
    )

    backup_schedule: ScheduleBody


class ChangedSchedule(Body, frozen=True):
    """Another content of a schedule."""

    EXAMPLES: ClassVar[Examples] = ({"backup_schedule": {"enabled": False}},)

    backup_schedule: ScheduleChange


class Chosen(Paged, frozen=True):
    """Which schedules a list has."""

    instance_id: Short | None = None


class ScheduleView(View, frozen=True, kw_only=True):
    """A schedule. `next_at` is when its next run begins, a while after the time that is asked for;
    `reason` says why the last one has not, or what it, or the trial of a backup, waits for or has
    failed by."""

    id: str
    name: str
    instance_id: str
    project_id: str
    created: Naive
    updated: Naive
    enabled: bool
    cron: str | None
    interval_hours: int | None
    time_zone: str
    full_every: int
    keep_count: int | None
    keep_days: int | None
    verify_every: int | None
    point_in_time: bool
    next_at: Naive | None
    last_at: Naive | None
    last_backup_id: str | None
    reason: str | None
    reason_at: Naive | None


class ScheduleList(View, frozen=True):
    """A page of schedules."""

    backup_schedules: list[ScheduleView]
    links: Next = msgspec.UNSET


class OneSchedule(View, frozen=True):
    """One schedule."""

    backup_schedule: ScheduleView


def schedule_of(request: Request) -> BackupSchedule:
    """The schedule in the path, if the caller may see it; `NotFound` otherwise."""
    found = store.get_schedule(request.id_of("schedule"), request.context.visible_tenant)
    request.audit.of_instance(found.instance_id, found.tenant_id)
    return found


def index(request: Request) -> Response:
    """The schedules of the project, a page of them, or those of an instance."""
    query = request.query
    instance_id = query.get("instance_id")
    if len(instance_id or "") > LONGEST:
        raise BadRequest("The 'instance_id' is too long.")
    project_id = request.context.project_id
    found = store.of_tenant(project_id, instance_id, limit_of(query), marker_of(query))
    views = [_view(row) for row in found.rows]
    return Response(200, ScheduleList(views, request.place.next_page(found.marker)))


def show(request: Request) -> Response:
    """A schedule of backups."""
    return Response(200, OneSchedule(_view(schedule_of(request))))


def create(request: Request) -> Response:
    """Have an instance backed up again and again."""
    asked = request.json(NewSchedule).backup_schedule
    instance = instances.get_instance(asked.instance, request.context.visible_tenant)
    request.audit.of_instance(instance.id, instance.tenant_id)
    values = msgspec.structs.asdict(asked)
    del values["instance"]
    row = store.new_schedule(instance, values)

    def require() -> None:
        _require_possible(instance, asked.full_every, log=asked.point_in_time)
        if store.are_there(instance, store.MOST_OF_INSTANCE):
            raise OverLimit(f"An instance has at most {store.MOST_OF_INSTANCE} schedules.")

    if request.dry_run:
        return _planned(instance, row, values, require)
    require()
    reply = Response(200, OneSchedule(_view(row)))
    for _ in races():
        if store.create(row, request.asked, request.keeping(reply)):
            break
    else:
        raise Contended(BUSY)
    if row.archives_log:
        keeping_log.tell(instance.id, request.last_look)
    return reply


def _planned(
    instance: Instance, row: BackupSchedule, values: dict[str, Any], require: Callable[[], None]
) -> Response:
    """What a schedule would have, its next slots, and what each of its runs does."""

    def decide() -> tuple[Any, None]:
        require()
        return {**values, "slots": _slots(row)}, None

    return planning.plan(instance, CREATE_BACKUP, decide)


def _slots(row: BackupSchedule) -> list[str]:
    """The next times at which it is due; a run begins within a while after."""
    found: list[float] = []
    if row.next_at is not None:
        found.append(row.next_at)
        for _ in range(MOST_SLOTS_TOLD - 1):
            found.append(plan_of(row).next_after(found[-1]))
    return [naive(each) for each in found]


def change(request: Request) -> Response:
    """Change a schedule; its next run is that of the times as they are then."""
    asked = request.json(ChangedSchedule).backup_schedule
    values = _given(asked)
    if not values:
        raise BadRequest("Validation error: the schedule holds nothing to change")
    if request.dry_run:
        return _planned_change(schedule_of(request), values)
    for _ in races():
        row = schedule_of(request)
        instance = instances.get_instance(row.instance_id)
        log = bool(values.get("point_in_time"))
        _require_possible(instance, values.get("full_every", 1), log=log)
        before = row.archives_log
        if store.change(row, values, request.asked):
            if row.archives_log != before:
                keeping_log.tell(instance.id, request.last_look)
            return Response(200, OneSchedule(_view(row)))
    raise Contended(BUSY)


def _planned_change(row: BackupSchedule, values: dict[str, Any]) -> Response:
    instance = instances.get_instance(row.instance_id)
    store.apply(row, values)
    full_every = values.get("full_every", 1)
    log = bool(values.get("point_in_time"))
    return _planned(instance, row, values, lambda: _require_possible(instance, full_every, log=log))


def _given(asked: ScheduleChange) -> dict[str, Any]:
    values = {
        name: value
        for name, value in msgspec.structs.asdict(asked).items()
        if value is not msgspec.UNSET
    }
    for one, other in (("cron", "interval_hours"), ("interval_hours", "cron")):
        if one in values:
            values.setdefault(other, None)
    return values


def _require_possible(instance: Instance, full_every: int, *, log: bool) -> None:
    """Refuse (501) what the instance's datastore, or its guest, has not."""
    require_offered(instance, [contract.CREATE_BACKUP])
    if log and not engines.can(instance.manager, contract.KEEP_LOG.part):
        raise NotSupported(
            f"The '{instance.datastore_name}' datastore keeps no log that could be restored to a "
            "moment: what was written since the last backup is lost with the instance, so let the "
            "schedule make them as often as you can bear."
        )
    if log:
        require_able(instance, [contract.KEEP_LOG])
    if full_every > 1:
        rules.require_incremental(instance.manager, instance.datastore_name)


def delete(request: Request) -> Response:
    """Take a schedule away; the backups that it has made stay."""
    for _ in races():
        row = schedule_of(request)
        if store.delete(row, request.asked):
            if row.point_in_time:
                keeping_log.tell(row.instance_id, request.last_look)
            return Response(202)
    raise Contended(BUSY)


def _view(row: BackupSchedule) -> ScheduleView:
    return ScheduleView(
        id=row.id,
        name=row.name,
        instance_id=row.instance_id,
        project_id=row.tenant_id,
        created=naive(row.created),
        updated=naive(row.updated),
        enabled=row.enabled,
        cron=row.cron,
        interval_hours=_whole(row.interval_hours),
        time_zone=row.time_zone,
        full_every=int(row.full_every),
        keep_count=_whole(row.keep_count),
        keep_days=_whole(row.keep_days),
        verify_every=_whole(row.verify_every),
        point_in_time=bool(row.point_in_time),
        next_at=_at(_begins(row)),
        last_at=_at(row.last_at),
        last_backup_id=row.last_backup_id,
        reason=row.reason,
        reason_at=_at(row.reason_at),
    )


def _begins(row: BackupSchedule) -> float | None:
    """When its next run begins; None also where its times say nothing any more, as when a zone is
    gone: that schedule is not what a list of them fails by."""
    try:
        return begins_at(row, row.next_at) if row.next_at is not None else None
    except BadRequest:
        return None


def _whole(number: float | None) -> int | None:
    return int(number) if number is not None else None


def _at(seconds: float | None) -> str | None:
    return naive(seconds) if seconds is not None else None


ROUTES: Final = (
    Route("GET", PATH, index, "backup_schedule:index", query=Chosen, answers=ScheduleList),
    Route(
        "POST",
        PATH,
        create,
        "backup_schedule:create",
        plans=True,
        reads=NewSchedule,
        answers=OneSchedule,
        refuses=(Conflict, NotFound, NotSupported, OverLimit),
    ),
    Route(
        "GET",
        f"{PATH}/{{schedule}}",
        show,
        "backup_schedule:show",
        answers=OneSchedule,
    ),
    Route(
        "PUT",
        f"{PATH}/{{schedule}}",
        change,
        "backup_schedule:update",
        plans=True,
        reads=ChangedSchedule,
        answers=OneSchedule,
        refuses=(Conflict, NotSupported),
    ),
    Route("DELETE", f"{PATH}/{{schedule}}", delete, "backup_schedule:delete", status=202),
)
"""What an instance is backed up by, again and again."""
