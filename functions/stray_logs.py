"""What the look through the bucket does about archives of logs: those that are of no use any more.

ended a day ago, and no backup is kept that it goes on from      removed, the row stays a while
without a row                                                    told, as a backup's objects are
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws, objects
from chalicelib.domain import archives as rules
from chalicelib.status import BackupStatus
from chalicelib.store import archives, backups, instances
from chalicelib.store.models import Archive

AGE_SECONDS: Final = 86400
"""How long one has to be over: longer than any credentials."""
MOST_REMOVED: Final = 20_000
"""Objects of one at a run, give or take a page; the others wait for the next round."""

log = logging.getLogger(__name__)


def is_log(location: str) -> bool:
    """Whether what lies there is an archive's."""
    return location.split("/")[1:2] == [rules.FOLDER]


def at(locations: Iterable[str]) -> dict[str, Archive]:
    """The rows of the archives that lie at these places."""
    ids = {place.rpartition("/")[2] for place in locations if is_log(place)}
    return {row.location: row for row in archives.find_archives(ids).values()}


def is_over(row: Archive) -> bool:
    """Whether it has ended, a day ago, and no backup is kept that it goes on from."""
    instance = instances.find_instance(row.instance_id)
    wanted = instance is not None and instance.archive_id == row.id
    if wanted or aws.clock() - (row.ended or row.updated) < AGE_SECONDS:
        return False
    return backups.bases_of(row, lambda each: each.status != BackupStatus.DELETED) == []


def remove(row: Archive, until: float) -> int:
    """Remove its pieces, as long as there is time; how many it were."""
    removed = 0
    try:
        while removed < MOST_REMOVED and aws.clock() < until:
            keys = list(objects.page(row.location).sizes)
            if not keys:
                archives.buried(row)
                break
            removed += objects.remove(keys)
    except (ClientError, BotoCoreError, OSError) as error:
        log.warning("the log %s stays for now: %s", row.id, error)
    return removed
