"""Schedules of backups."""

from __future__ import annotations

from typing import Any, Final

from chalicelib import engines
from simulator.actions.asking import UNFIT, datastore_of
from simulator.clients import Clients, Tenant

SOON_MINUTES: Final = 3
"""A schedule's first time comes within so many: a run of the swarm lasts only a few."""
MOST_CHAIN: Final = 3
HOURLY: Final = 0.2
ON: Final = 0.7
"""Shares of the schedules of an interval, and of the changes that switch one on."""
ARCHIVED: Final = 0.3
"""Share of the schedules, and of their changes, that have a log archived."""
ZONES: Final = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns")


def create_schedule(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Backups again and again: soon and each quarter of an hour, or each hour; some are kept."""
    if instance_id is None:
        return
    datastore = datastore_of(tenant, instance_id)
    fits = engines.ENGINES[datastore].incremental_backups or work.stream.random() < UNFIT
    body = {
        "name": work.name("schedule"),
        "instance": instance_id,
        "full_every": work.stream.randrange(1, MOST_CHAIN + 1) if fits else 1,
        **_times(work),
        **_keeping(work),
        **_trying(work),
        "point_in_time": work.stream.random() < ARCHIVED,
    }
    if work.stream.random() < UNFIT:
        path = "/backup_schedules?dry_run=true"
        work.request(tenant, "POST", path, {"backup_schedule": body})  # whose key is not kept
        return
    reply = work.post(tenant, "/backup_schedules", {"backup_schedule": body})
    if reply.status == 200:
        work.learn_schedule(tenant, reply)
        if body["point_in_time"]:
            tenant.archived[instance_id] = datastore


def change_schedule(work: Clients, tenant: Tenant, _: str | None) -> None:
    """Other times, more or fewer that are kept or tried out, the log archived or not, on or off."""
    schedule = _schedule(work, tenant)
    if schedule is None:
        return
    log, on = work.stream.random() < ARCHIVED, work.stream.random() < ON
    chosen = (
        *(_times(work), _keeping(work), _trying(work)),
        *({"enabled": on}, {"point_in_time": log}),
    )
    body = {"backup_schedule": work.stream.choice(chosen)}
    work.request(tenant, "PUT", f"/backup_schedules/{schedule}", body)


def list_schedules(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """All, those of an instance, or one."""
    schedule = _schedule(work, tenant)
    paths = ["/backup_schedules", f"/backup_schedules?instance_id={instance_id}&limit=1"]
    if schedule is not None:
        paths += [f"/backup_schedules/{schedule}"]
    work.request(tenant, "GET", work.stream.choice(paths))


def delete_schedule(work: Clients, tenant: Tenant, _: str | None) -> None:
    schedule = _schedule(work, tenant)
    if schedule is not None:
        reply = work.request(tenant, "DELETE", f"/backup_schedules/{schedule}")
        if reply.status in (202, 404):
            tenant.schedules.pop(schedule, None)


def _schedule(work: Clients, tenant: Tenant) -> str | None:
    return work.stream.choice(list(tenant.schedules)) if tenant.schedules else None


def _times(work: Clients) -> dict[str, Any]:
    if work.stream.random() < HOURLY:
        return {"interval_hours": 1}
    first = int(work.world.kernel.now // 60) + work.stream.randrange(1, SOON_MINUTES)
    minutes = sorted((first + quarter * 15) % 60 for quarter in range(4))
    zone = work.stream.choice(ZONES)
    return {"cron": f"{','.join(map(str, minutes))} * * * *", "time_zone": zone}


def _keeping(work: Clients) -> dict[str, Any]:
    counts, days = work.stream.choice((None, 1, 1, 2, 3)), work.stream.choice((None, None, 1))
    return {"keep_count": counts, "keep_days": days}


def _trying(work: Clients) -> dict[str, Any]:
    return {"verify_every": work.stream.choice((None, None, 1, 2))}
