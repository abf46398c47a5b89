"""Bugs of what an operator runs after a restore of the tables of backups."""

from __future__ import annotations

from chalicelib import objects
from chalicelib.status import BackupStatus
from chalicelib.store import restoring_backups
from chalicelib.store.models import Backup
from functions import restoration, restoration_of_snapshots, stray_logs, stray_objects
from tests.saboteurs.registry import Patch, saboteur


@saboteur("restored backups", "I44", seeds=10)
def a_lost_backup_is_a_leftover(patch: Patch) -> None:
    """What lies in the store and has no row is removed, as if a row were all there is to know."""
    original = stray_objects._sort

    def sort(keys: list[str]) -> stray_objects._Sorted:
        found = original(keys)
        gone = [
            Backup(
                id=place.rpartition("/")[2],
                location=place,
                instance_id="",
                status=BackupStatus.DELETED,
                updated=0.0,
            )
            for place in found.unknown
        ]
        return found._replace(condemned=[*found.condemned, *gone])

    patch.setattr(stray_objects, "_sort", sort)
    patch.setattr(stray_objects, "PLAUSIBLE_SHARE", 1.0)


@saboteur("restored backups", "I44")
def lost_backups_that_nobody_tells(patch: Patch) -> None:
    """Which backups a restore has lost the operator does not learn."""
    patch.setattr(restoring_backups, "lost", lambda instance_ids: {})


@saboteur("restored backups", "I44", "L2", seeds=10)
def snapshots_that_are_not_adopted(patch: Patch) -> None:
    """A snapshot whose row a restore has lost gets none."""
    patch.setattr(restoration_of_snapshots, "adopt_page", lambda after, limit, *, check: ([], None))


@saboteur("restored backups", "I12", seeds=10)
def a_chain_that_is_not_counted_again(patch: Patch) -> None:
    """After a restore a backup counts what has built on it then."""
    model, _, mend, then = restoration._OTHERS["chains"]
    patch.setitem(restoration._OTHERS, "chains", (model, lambda row: None, mend, then))


@saboteur("restored archives", "I44", seeds=10)
def the_log_of_a_lost_archive_is_a_leftover(patch: Patch) -> None:
    """Pieces of a log whose archive has no row are removed."""
    original = stray_objects._sort

    def sort(keys: list[str]) -> stray_objects._Sorted:
        found = original(keys)
        for place in found.unknown:
            if stray_logs.is_log(place):
                objects.remove(list(objects.page(place).sizes))
        return found

    patch.setattr(stray_objects, "_sort", sort)


@saboteur("restored archives", "I44", seeds=10)
def an_archive_that_goes_on_for_nobody(patch: Patch) -> None:
    """After a restore no archive ends that its instance does not know of."""
    model, _, end, then = restoration._OTHERS["logs"]
    patch.setitem(restoration._OTHERS, "logs", (model, lambda row: None, end, then))
