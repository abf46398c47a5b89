"""The look for what deleted instances left in the cloud: a slice of the whole at each run.

    page of things ──▶ carry our mark? ──▶ their rows ──▶ no row        told, never touched
                                                         DELETED long   removed
                                                         anything else  stays

A flow removes its own and sees it gone, so a leftover is rare: what appeared after its delete had
looked for the last time. A thing whose row is missing is not one: a table that was restored to an
earlier moment looks like that for everything that is younger. Neither is the thing of another
deployment, whatever its name, nor a volume that stays for its snapshots. A run that would remove an
implausible share of what it has seen removes nothing and says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from chalicelib import aws
from chalicelib.cloud import network, server_groups, servers, snapshots, volumes
from chalicelib.cloud.errors import CloudError, Refused
from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus
from chalicelib.store import backups, events, instances, jobs
from chalicelib.store.models import Backup, Instance
from functions import soft_deleted
from functions.remove import require_not_given_up

AGE_SECONDS: Final = 900
"""How long a row has said DELETED before its leftovers go."""
VOLUME_AGE_SECONDS: Final = 7 * 86400
"""The same for data; less than the days for which a deleted row is kept."""
PAGE_THINGS: Final = 500
SLICE_SECONDS: Final = 4
"""A run begins no page later than that: with one slow call it still ends within its function."""
MOST_REMOVED: Final = 20
"""So many things at a run; the others wait for the next round."""
PLAUSIBLE_REMOVALS: Final = 10
PLAUSIBLE_SHARE: Final = 0.05
"""More leftovers than the larger of these, of what a round has seen, are somebody's mistake."""
TOLD: Final = 5
PAUSE_SECONDS: Final = 5
MOST_PAUSE_SECONDS: Final = 86400
"""A round reads a row for each thing, so the next one waits so long for each, a day at most: the
look costs about the same for ten guests and for four thousand."""

log = logging.getLogger(__name__)


class Thing(Protocol):
    """What is alike in servers, ports, groups and volumes."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def owner(self) -> str | None: ...


def _of_instances(owners: set[str]) -> dict[str, float]:
    return {row.id: _gone_for(row) for row in instances.find_instances(owners).values()}


def _of_backups(owners: set[str]) -> dict[str, float]:
    return {row.id: _over_for(row) for row in backups.find_backups(owners)}


class Kind(NamedTuple):
    """A kind of thing: how it is listed and removed, for how long its row has to be DELETED, and
    for how long those of some owners are."""

    name: str
    page: Callable[[str | None, int], Sequence[Thing]]
    delete: Callable[[Any], bool]
    age_seconds: float = AGE_SECONDS
    gone_for: Callable[[set[str]], dict[str, float]] = _of_instances
    scope: Callable[[Any], str | None] = lambda thing: thing.owner
    """The instance in whose feed a removal is told."""


def look(*, sure: bool = False) -> dict[str, Any]:
    """Look at the next slice; answers what was seen, removed and told since the round began.

    `sure` is an operator's word that a share that looks implausible is right.
    """
    started = aws.clock()
    found = jobs.orphan_look()
    removed = 0
    if started < found.begins and not sure:
        return {"seen": 0, "unknown": 0, "removed": 0}
    while aws.clock() - started < SLICE_SECONDS:
        kind = _KINDS[found.kind]
        page = _page(kind, found)
        condemned = _sort(kind, page, found)
        if not sure and found.condemned > max(PLAUSIBLE_REMOVALS, PLAUSIBLE_SHARE * found.seen):
            events.alarm(
                "orphans.implausible",
                f"{found.condemned} of {found.seen} things of this deployment belong to deleted "
                f"instances (the last were {kind.name}s): nothing is removed before somebody has "
                "looked (docs/operations.md).",
            )
            jobs.store_orphan_look(jobs.OrphanLook())
            break
        for thing in condemned[: MOST_REMOVED - removed]:
            removed += _remove(kind, thing)
        found.after = _last(page, condemned)
        if not page:
            found.kind = (found.kind + 1) % len(_KINDS)
        if not page and found.kind == 0:
            pause = min(found.seen * PAUSE_SECONDS, MOST_PAUSE_SECONDS)
            jobs.store_orphan_look(jobs.OrphanLook(begins=aws.clock() + pause))
            break
        jobs.store_orphan_look(found)
    return {"seen": found.seen, "unknown": found.unknown, "removed": removed}


def _last(page: Sequence[Thing], condemned: list[Thing]) -> str | None:
    """The last thing of a page that will be there for the next one to begin after."""
    staying = [thing for thing in page if thing not in condemned]
    last = (staying or page)[-1:]
    return last[0].id if last else None


def _page(kind: Kind, found: jobs.OrphanLook) -> Sequence[Thing]:
    """The next page; the first one again when the thing that the last one ended with is gone."""
    if found.after is not None:
        try:
            return kind.page(found.after, PAGE_THINGS)
        except Refused as error:
            log.info("the look at the %ss begins again: %s", kind.name, error)
            found.after = None
    return kind.page(None, PAGE_THINGS)


def _sort(kind: Kind, page: Sequence[Thing], found: jobs.OrphanLook) -> list[Thing]:
    """Count what is ours on a page and tell what has no row; answers what a deleted one left."""
    ours = [(thing, thing.owner) for thing in page if thing.owner is not None]
    rows = kind.gone_for({owner for _, owner in ours})
    unknown = [thing for thing, owner in ours if owner not in rows]
    condemned = [
        thing for thing, owner in ours if owner in rows and rows[owner] >= kind.age_seconds
    ]
    found.seen += len(ours)
    found.unknown += len(unknown)
    found.condemned += len(condemned)
    if unknown:
        named = ", ".join(f"{thing.name} ({thing.id})" for thing in unknown[:TOLD])
        events.alarm(
            "orphans.unknown",
            f"{len(unknown)} of {len(ours)} {kind.name}s carry this deployment's mark and have no "
            f"row, as after a restore of the table: {named}. They stay; see docs/operations.md.",
        )
    return condemned


def _gone_for(row: Instance) -> float:
    """For how many seconds the row says DELETED; less than any bound for one that does not."""
    if row.status != Status.DELETED or row.deleted_at is None:
        return -1
    return aws.clock() - row.deleted_at


def _over_for(row: Backup) -> float:
    """For how many seconds a backup has been deleted, or has failed with nobody at it; less than
    any bound for one that has not."""
    if row.operation_id is not None or row.status not in (
        BackupStatus.DELETED,
        BackupStatus.FAILED,
    ):
        return -1
    return aws.clock() - row.updated


def _remove(kind: Kind, thing: Thing) -> int:
    try:
        asked = kind.delete(thing)
    except CloudError as error:
        log.warning("the leftover %s %s stays for now: %s", kind.name, thing.name, error)
        return 0
    if asked:
        log.warning("removing a leftover: %s %s", kind.name, thing.name)
        text = f"{kind.name} {thing.name} was still there after the delete."
        events.record(str(kind.scope(thing)), "orphan.removed", text)
    return int(asked)


def _delete_server(server: servers.Server) -> bool:
    if server.deleting:
        return False
    servers.delete(server.id)
    return True


def _delete_port(port: network.Port) -> bool:
    network.delete_port(port.id)
    return True


def _delete_floating_address(address: network.FloatingAddress) -> bool:
    network.delete_floating_address(address.id)
    return True


def _delete_security_group(group: network.SecurityGroup) -> bool:
    network.delete_security_group(group.id)
    return True


def _delete_server_group(group: server_groups.ServerGroup) -> bool:
    server_groups.delete(group.id)
    return True


def _delete_volume(volume: volumes.Volume) -> bool:
    """Data goes last: when nothing is attached to it and no server or port could still come back
    to it."""
    require_not_given_up("volume", volume)
    owner = str(volume.owner)
    if volume.status not in volumes.DELETABLE or servers.find(owner) or network.find_ports(owner):
        soft_deleted.free(volume)
        return False
    volumes.delete(volume.id)
    return True


def _delete_snapshot(snapshot: snapshots.Snapshot) -> bool:
    require_not_given_up("snapshot", snapshot)
    if snapshot.status not in snapshots.DELETABLE:
        return False
    snapshots.delete(snapshot.id)
    return True


_KINDS: Final = (
    Kind("server", lambda *slice_: servers.page(*slice_), _delete_server),
    Kind(
        "floating IP",
        lambda *slice_: network.page_of_floating_addresses(*slice_),
        _delete_floating_address,
    ),
    Kind("port", lambda *slice_: network.page_of_ports(*slice_), _delete_port),
    Kind(
        "security group",
        lambda *slice_: network.page_of_security_groups(*slice_),
        _delete_security_group,
    ),
    Kind("server group", lambda *slice_: server_groups.page(*slice_), _delete_server_group),
    Kind("volume", lambda *slice_: volumes.page(*slice_), _delete_volume, VOLUME_AGE_SECONDS),
    Kind(
        "snapshot",
        lambda *slice_: snapshots.page(*slice_),
        _delete_snapshot,
        VOLUME_AGE_SECONDS,
        _of_backups,
        lambda snapshot: snapshot.instance_id,
    ),
)
