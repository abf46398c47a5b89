"""The look for what ended backups left in the object store: a slice of the bucket at each run.

    page of objects ──▶ of which backups? ──▶ their rows ──▶ no row              told, never touched
                                                             DELETED, FAILED     removed after a day
                                                             COMPLETED           other attempts go
                                                             DELETE_FAILED       deleted once more
                        or archives?                         `stray_logs`
                                                             anything else       stays

A flow removes its own and sees it gone: what is left came afterwards, from an agent that did not
know that it was over, while its credentials lasted. An object whose backup has no row is none: a
table that was restored to an earlier moment looks like that for all that is younger. A run that
would remove an implausible share of the backups that it has seen removes nothing and says so.
"""

from __future__ import annotations

import logging
from typing import Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws, objects
from chalicelib.bus import queues
from chalicelib.bus.contract import manifest
from chalicelib.domain.flows import DELETE_BACKUP
from chalicelib.status import BackupStatus
from chalicelib.store import accepting, backups, events, jobs
from chalicelib.store.events import Asked
from chalicelib.store.models import Archive, Backup
from chalicelib.store.operations import operation_of, operations_of
from functions import stray_logs

AGE_SECONDS: Final = 86400
"""How long a backup has to be over: longer than any credentials, and less than its row is kept."""
SLICE_SECONDS: Final = 8
"""A run begins no page later than that, and removes none: it still ends within its function."""
MOST_REMOVED: Final = 20_000
"""Objects at a run, give or take a page; the others wait for the next round."""
PLAUSIBLE_REMOVALS: Final = 10
PLAUSIBLE_SHARE: Final = 0.05
"""More backups with leftovers than the larger of these, of what a round has seen, are somebody's
mistake."""
AGAIN_SECONDS: Final = 3600
MOST_AGAIN_SECONDS: Final = 86400
"""So long after it has failed a deletion is tried again: an hour, or for as long as it has been
tried already, a day at most."""
MOST_AGAIN: Final = 20
"""Deletions that a run begins again; the others wait for the next round."""
LAST_TRIES: Final = 10
"""Of a backup's deletions, which tell since when it has been tried: with pauses that double, more
than a day."""
TOLD: Final = 5
PAUSE_SECONDS: Final = 5
MOST_PAUSE_SECONDS: Final = 86400
"""A round lists each backup's objects, so the next one waits so long for each, a day at most."""

log = logging.getLogger(__name__)


class _Sorted(NamedTuple):
    """The backups of a page by what is to become of them: all, without a row, with something to be
    removed; those of which some is to stay; logs that go; what is to be deleted and still there."""

    locations: list[str]
    unknown: list[str]
    condemned: list[Backup]
    settled: dict[str, Backup]
    logs: list[Archive]
    failed: list[Backup]


def look(*, sure: bool = False) -> dict[str, Any]:
    """Look at the next slice; answers what was seen and told since the round began, and how many
    objects this run has removed.

    `sure` is an operator's word that a share that looks implausible is right.
    """
    started = aws.clock()
    until = started + SLICE_SECONDS
    found = jobs.stray_look()
    if started < found.begins and not sure:
        return {"seen": 0, "unknown": 0, "removed": 0}
    removed, unknown, following = 0, list[str](), found
    again = 0
    while aws.clock() < until and removed < MOST_REMOVED:
        page = objects.page_of_all(found.after)
        these = _sort(list(page.sizes))
        found.seen += sum(not _within(place, found.after) for place in these.locations)
        found.unknown += len(these.unknown)
        found.condemned += len(these.condemned) + len(these.logs)
        unknown += these.unknown
        if not sure and found.condemned > max(PLAUSIBLE_REMOVALS, PLAUSIBLE_SHARE * found.seen):
            _tell_implausible(found)
            following = jobs.StrayLook()
            break
        removed += sum(_remove(each, until) for each in these.condemned)
        removed += sum(stray_logs.remove(each, until) for each in these.logs)
        again += _delete_again(these.failed, until, MOST_AGAIN - again)
        if page.after is None:
            pause = min(found.seen * PAUSE_SECONDS, MOST_PAUSE_SECONDS)
            following = jobs.StrayLook(begins=aws.clock() + pause)
            break
        found.after = _behind(page.after, these.settled)
    if unknown:
        _tell_unknown(unknown)
    jobs.store_stray_look(following)
    return {"seen": found.seen, "unknown": found.unknown, "removed": removed}


def _within(location: str, key: str | None) -> bool:
    return key is not None and key.startswith(f"{location}/")


def _behind(key: str, settled: dict[str, Backup]) -> str:
    """Where to go on: what else lies below the last key's backup tells nothing new, but behind the
    parts of one that is complete there may be others ("0" comes next after "/")."""
    location = objects.location_of(key)
    if location is None:
        return key
    row = settled.get(location)
    if row is None:
        return f"{location}0"
    return _behind_parts(row) if key.startswith(_parts_of(row)) else key


def _sort(keys: list[str]) -> _Sorted:
    """Find the rows of what lies there; a key that is no backup's has none."""
    locations = list(dict.fromkeys(objects.location_of(key) or key for key in keys))
    logs = stray_logs.at(locations)
    of_backups = [place for place in locations if not stray_logs.is_log(place)]
    rows = backups.find_backups({place.rpartition("/")[2] for place in of_backups})
    at = {row.location: row for row in rows}
    settled = {place: row for place, row in at.items() if _is_settled(row)}
    littered = {
        place
        for key in keys
        if (place := objects.location_of(key)) in settled and not _is_own(settled[place], key)
    }
    return _Sorted(
        locations,
        [place for place in locations if place not in at and place not in logs],
        [
            at[place]
            for place in locations
            if place in at and (_is_over(at[place]) or place in littered)
        ],
        settled,
        [row for row in logs.values() if stray_logs.is_over(row)],
        [row for row in at.values() if _waits_for_another(row)],
    )


def _is_over(row: Backup) -> bool:
    ended = row.status in (BackupStatus.DELETED, BackupStatus.FAILED)
    return ended and aws.clock() - row.updated >= AGE_SECONDS


def _waits_for_another(row: Backup) -> bool:
    """Whether its deletion has failed a while ago; what builds on it goes first."""
    failed = row.status == BackupStatus.DELETE_FAILED and row.operation_id is None
    return failed and not row.children and aws.clock() - row.updated >= AGAIN_SECONDS


def _delete_again(rows: list[Backup], until: float, most: int) -> int:
    """Begin deletions anew, so many at most and as long as there is time; how many it were."""
    begun = 0
    for row in rows:
        if begun >= most or aws.clock() >= until:
            break
        if _has_rested(row):
            _begin_again(row)
            begun += 1
    return begun


def _has_rested(row: Backup) -> bool:
    """Whether its deletion has rested for as long as it was tried: each try is an operation with
    its events, and a store may refuse for good."""
    tried = operations_of(row.id, LAST_TRIES)
    since = tried[-1].created if tried else row.updated
    pause = min(max(row.updated - since, AGAIN_SECONDS), MOST_AGAIN_SECONDS)
    return bool(aws.clock() - row.updated >= pause)


def _begin_again(row: Backup) -> None:
    """Begin another deletion of what somebody has asked for. Clauses: it is as it was read."""
    asked = Asked("maintenance", f"req-{aws.new_id()}", row.tenant_id)
    operation = operation_of(row, DELETE_BACKUP, asked=asked)
    if accepting.accept(row, operation, decided_by=("children", "readers")):
        queues.notify_task_manager(operation.id)
        log.info("backup %s, whose deletion had failed, is deleted again", row.id)


def _is_settled(row: Backup) -> bool:
    """Whether it is complete, and nobody can write below it any more."""
    complete = row.status == BackupStatus.COMPLETED and row.attempt is not None
    return complete and aws.clock() - row.updated >= AGE_SECONDS


def _is_own(row: Backup, key: str) -> bool:
    """Whether an object is one of a complete backup's."""
    described = manifest.key_of(row.location, str(row.checksum))
    return row.status == BackupStatus.COMPLETED and (
        key == described or key.startswith(_parts_of(row))
    )


def _parts_of(row: Backup) -> str:
    return f"{row.location}/{row.attempt}/"


def _behind_parts(row: Backup) -> str:
    return f"{row.location}/{row.attempt}0"


def _remove(row: Backup, until: float) -> int:
    """Remove what lies at its location and is not its own, `MOST_REMOVED` at most and as long as
    there is time; how many it were. What is left goes in the next round."""
    removed, after = 0, None
    try:
        while removed < MOST_REMOVED and aws.clock() < until:
            page = objects.page(row.location, after)
            if left := [key for key in page.sizes if not _is_own(row, key)]:
                gone = objects.remove(left)
                removed += gone
                if gone < len(left):
                    continue
            if page.after is None:
                break
            own = row.status == BackupStatus.COMPLETED and page.after.startswith(_parts_of(row))
            after = _behind_parts(row) if own else page.after
    except (ClientError, BotoCoreError, OSError) as error:
        log.warning("leftovers of the backup %s stay for now: %s", row.id, error)
    if removed:
        text = f"{removed} objects of backup {row.id} were still there after its end."
        log.warning("removed: %s", text)
        events.record(row.instance_id, "objects.removed", text)
    return removed


def _tell_unknown(places: list[str]) -> None:
    events.alarm(
        "objects.unknown",
        f"{len(places)} backups lie in the object store and have no row, as after a restore of the "
        f"table: {', '.join(places[:TOLD])}. They stay; see docs/operations.md.",
    )


def _tell_implausible(found: jobs.StrayLook) -> None:
    events.alarm(
        "objects.implausible",
        f"{found.condemned} of {found.seen} backups in the object store are over and still lie "
        "there: nothing is removed before somebody has looked (docs/operations.md).",
    )
