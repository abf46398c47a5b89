"""The rules of schedules of backups: when one is due, when it begins, what it makes.

Slots are times of a crontab, or of an interval that is counted from the schedule's making. A run
begins within a while after its slot, at a moment of the schedule's own: a fleet of schedules for
midnight does not begin at midnight.
"""

from __future__ import annotations

import math
import zlib
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import msgspec

from chalicelib.domain import cron
from chalicelib.domain.cron import Cron
from chalicelib.errors import BadRequest

HOUR_SECONDS: Final = 3600.0
LEAST_MINUTES: Final = 15
"""Between two slots."""
SPREAD_SECONDS: Final = 3600.0
"""Within so long after its slot a run begins, or within a quarter of the time to the next one."""
ASKER: Final = "backup-schedule:"
"""Who has asked for what a schedule does: that, and its id."""
TRIAL: Final = "The trial of backup"
"""So a schedule's reason begins that is one of a trial."""
DUE_SHARDS: Final = 8
"""Partitions of the index of what is due. More may be added at any time, fewer never."""


class Planned(Protocol):
    """What of a schedule tells when it is due."""

    @property
    def id(self) -> str: ...
    @property
    def created(self) -> float: ...
    @property
    def cron(self) -> str | None: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def interval_hours(self) -> float | None: ...


class Interval(msgspec.Struct, frozen=True):
    """Every so many seconds since `anchor`."""

    seconds: float
    anchor: float

    def next_after(self, after: float) -> float:
        """The first time later than that."""
        passed = math.floor((after - self.anchor) / self.seconds)
        return self.anchor + (passed + 1) * self.seconds


class Crontab(msgspec.Struct, frozen=True):
    """The times of a crontab on the clock of a zone."""

    cron: Cron
    zone: ZoneInfo

    def next_after(self, after: float) -> float:
        """The first time later than that; `BadRequest` when none comes."""
        found = self.cron.next_after(self.zone, after)
        if found is None:
            raise BadRequest("Validation error: 'cron' names a day that never comes.")
        return found


def plan_of(planned: Planned) -> Interval | Crontab:
    """When a schedule is due; `BadRequest` for what says no such thing."""
    if (planned.cron is None) == (planned.interval_hours is None):
        raise BadRequest("Validation error: a schedule has either a 'cron' or an 'interval_hours'.")
    zone = cron.zone_of(planned.time_zone)
    if planned.cron is None:
        return Interval(float(planned.interval_hours or 1) * HOUR_SECONDS, planned.created)
    fields = cron.parsed(planned.cron)
    minutes = sorted(fields.minutes)
    around = zip(minutes, [*minutes[1:], minutes[0] + 60], strict=True)
    if any(after - before < LEAST_MINUTES for before, after in around):
        raise BadRequest(
            f"Validation error: 'cron' has two times within {LEAST_MINUTES} minutes, the least "
            "that there may be."
        )
    return Crontab(fields, zone)


def begins_at(planned: Planned, slot: float) -> float:
    """When the run of a slot begins."""
    window = min(SPREAD_SECONDS, (plan_of(planned).next_after(slot) - slot) / 4)
    return slot + window * (zlib.crc32(planned.id.encode()) / 2**32)


def due_shard(schedule_id: str) -> str:
    """The partition of the index that a schedule is in."""
    return f"due-{zlib.crc32(schedule_id.encode()) % DUE_SHARDS}"


SHARDS: Final = tuple(f"due-{shard}" for shard in range(DUE_SHARDS))
