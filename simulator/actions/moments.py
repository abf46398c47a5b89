"""Logs that are archived, and what is made of them."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.domain.archives import moment
from chalicelib.domain.archives import shown as as_time
from chalicelib.engines import ENGINES
from chalicelib.status import RESTART_REQUIRED
from simulator.actions.asking import datastore_of
from simulator.actions.backups import create_backup
from simulator.actions.instances import creation
from simulator.clients import NAMES, Clients, Tenant

SEEN_SECONDS: Final = 5.0
BEGUN_SECONDS: Final = 90.0
"""So long after a start of the database its archive has begun, in good weather."""
REACHED_SECONDS: Final = 100.0
"""So long after a base was asked for the archive has gone on from it."""
BY_POSITION: Final = 0.25
IMPOSSIBLE: Final = 0.1
"""Share of the moments that no archive has."""


def archive_log(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Have a log archived, with what that needs: a restart where the engine begins it with one, and
    a backup that it goes on from."""
    if instance_id is None:
        return
    body = {
        "name": work.name("schedule"),
        "instance": instance_id,
        "interval_hours": 1,
        "point_in_time": True,
    }
    reply = work.post(tenant, "/backup_schedules", {"backup_schedule": body})
    if reply.status != 200:
        return
    work.learn_schedule(tenant, reply)
    tenant.archived[instance_id] = datastore_of(tenant, instance_id)
    work.world.kernel.sleep(work.stream.random() * SEEN_SECONDS)
    path = f"/instances/{instance_id}"
    shown = work.request(tenant, "GET", path)
    if shown.status == 200 and shown.document["instance"]["status"] == RESTART_REQUIRED:
        work.post(tenant, f"{path}/action", {"restart": {}})
    work.world.kernel.sleep(BEGUN_SECONDS)
    if work.on:
        create_backup(work, tenant, instance_id)


def restore_to_moment(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """An instance as another one was, which may be gone, at a moment that an archive has, or at a
    position of its log; now and then at one that none has. A tenant without an archive begins one,
    and waits for its range."""
    if not tenant.archived:
        archive_log(work, tenant, instance_id)
        work.world.kernel.sleep(REACHED_SECONDS)
    if not tenant.archived or not work.on:
        return
    source = work.stream.choice(list(tenant.archived))
    told = work.request(tenant, "GET", f"/instances/{source}/archives")
    archives = told.document["archives"] if told.status == 200 else []
    ranges = [
        (moment(each["restorable_from"]), moment(each["restorable_until"]))
        for each in archives
        if each["restorable_from"] is not None
    ]
    now_ms = int(work.world.kernel.now * 1000)
    since, until = work.stream.choice(ranges) if ranges else (now_ms, now_ms)
    at_ms = work.stream.randint(since, until)
    if at_ms % 2:
        at_ms = max(_before_a_commit(work, source, at_ms), since)
    if work.stream.random() < IMPOSSIBLE:
        at_ms = work.stream.choice((since - 1, until + 1000))
    datastore = tenant.archived[source]
    body = creation(work.name("restored"), work.stream.randrange(1, 4), datastore)
    point = {"instance": source, "time": as_time(at_ms)}
    if work.stream.random() < BY_POSITION:
        point = {"instance": source, **_position(work, archives, datastore)}
    body["instance"]["restorePoint"] = point
    if work.stream.random() < 0.5:
        del body["instance"]["datastore"]
    reply = work.post(tenant, "/instances", body)
    if reply.status == 200:
        work.learn(tenant, reply)


def _position(work: Clients, archives: list[Any], datastore: str) -> dict[str, str]:
    """A position that one of the archives has, or one that none has."""
    known = ENGINES[datastore].positions
    assert known is not None, "another engine has no archive"
    told = [
        (each["restorable_from_position"], each["restorable_until_position"]) for each in archives
    ]
    ranges = [
        (first, last)
        for since, until in told
        if (first := known.read(since or "")) and (last := known.read(until or ""))
    ]
    if not ranges:
        return {"position": known.example}
    first, last = work.stream.choice(ranges)
    number = work.stream.randint(first.number, last.number)
    if work.stream.random() < IMPOSSIBLE:
        number = work.stream.choice((first.number - 1, last.number + 1000))
    return {"position": known.written(first._replace(number=number))}


def _before_a_commit(work: Clients, instance_id: str, at_ms: int) -> int:
    """A moment just before the last commit up to one, in the same second: who undoes a mistake asks
    for that. The same moment of an instance that is gone."""
    for guest in work.world.fleet.of_instance(instance_id):
        history = guest.volume.history if guest.volume is not None else None
        for commit_ms, _ in reversed(history or []):
            if commit_ms <= at_ms:
                return commit_ms - commit_ms % 1000 // 2 - 1
    return at_ms


def purge_log(work: Clients, _: Tenant, instance_id: str | None) -> None:
    """The owner of a database removes what is kept of its log, with what was written just now; no
    call of the API."""
    fleet = work.world.fleet
    for guest in fleet.of_instance(instance_id or ""):
        for number in range(NAMES):
            fleet.write(guest.server_id, f"schema{number}", work.name("key"), work.name("value"))
        fleet.purge_log(guest.server_id)
