"""Archives of a restored table: an instance wants the log that a schedule of its wants, or none.

its schedule is gone, or wants no log any more     the archive ends, the instance wants none
its archive has no row                             the instance wants none
it goes on, and its instance does not know of it   the archive ends
a schedule wants one that the instance has not     `archives.settle`, at the schedule's next look

Without it a guest would archive a log for ever that nobody has asked for, or no schedule could.
"""

from __future__ import annotations

from typing import Any, Final

from pynamodb.expressions.update import Action

from chalicelib.domain.archives import State
from chalicelib.store import archives, instances, schedules
from chalicelib.store.base import transact, update_if
from chalicelib.store.models import Archive, Instance

UNWANTED: Final = "No schedule wants its log any more."
UNKNOWN: Final = "The tables were restored, and its instance does not know of it any more."
_LOST: Final = "the archive of its log is lost"


def wrong(row: Instance) -> tuple[str, Archive | None] | None:
    """What an instance does not know of its archive, and which one ends; or None."""
    if row.archive_id is None:
        return None
    archive = archives.find_archive(row.archive_id)
    if archive is None:
        return _LOST, None
    schedule = schedules.find_schedule(archive.schedule_id)
    wanted = schedule is not None and schedule.instance_id == row.id and schedule.archives_log
    return None if wanted else ("no schedule wants its log", archive)


def nobodys(row: Archive) -> tuple[str, str] | None:
    """What is wrong with an archive that goes on for nobody, and why it ends; or None."""
    if row.state == State.ENDED:
        return None
    instance = instances.find_instance(row.instance_id)
    if instance is not None and instance.archive_id == row.id:
        return None
    return "its instance does not know of it", UNKNOWN


def end(row: Archive, _: str, why: str) -> None:
    """Clause: it is as it was read; `ConditionFailed`.

    The row stays for longer than the look for strays needs, if something of it is there after all.
    """
    archives.end(row, why, empty=True)


def mend(row: Instance, _: str, archive: Any) -> None:
    """Want it no more. Clause: the instance has that archive still; `ConditionFailed`."""
    if archive is None:
        actions: list[Action] = [Instance.archive_id.remove(), Instance.log_waits.remove()]
        update_if(row, actions, Instance.archive_id == row.archive_id)
    else:
        transact(archives.stopping(row.id, archive.schedule_id, UNWANTED))
