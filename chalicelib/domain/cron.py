"""Times of a crontab: five fields, read on the clock of a time zone (crontab(5), Vixie's).

What is every hour follows the hours that pass: an hour that comes twice has its times twice, one
that is left out has none. Any other time is of the day: it comes once, the first time, and one that
is left out comes as late as the clock was put forward.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from chalicelib.errors import BadRequest

LONGEST: Final = 100
MOST_DAYS: Final = 41 * 366
"""So far ahead a time is looked for: a 29th of February on a given weekday may be 40 years away."""
DAY: Final = timedelta(days=1)

_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
_NO_ZONES: Final = ("right/", "posix/", "localtime", "posixrules", "Factory")
"""What a machine's own database may hold beside IANA's names."""
_ITEM: Final = re.compile(r"(\*|\w+(?:-\w+)?)(?:/(\d{1,2}))?", re.ASCII)
_MONTHS: Final = [
    "JAN",
    "FEB",
    "MAR",
    "APR",
    "MAY",
    "JUN",
    "JUL",
    "AUG",
    "SEP",
    "OCT",
    "NOV",
    "DEC",
]
_WEEKDAYS: Final = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


class Field(msgspec.Struct, frozen=True):
    """One of the five: its name, its bounds, and names of values."""

    name: str
    least: int
    most: int
    names: Mapping[str, int] = {}


FIELDS: Final = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, {name: place for place, name in enumerate(_MONTHS, 1)}),
    Field("day of the week", 0, 7, {name: place for place, name in enumerate(_WEEKDAYS)}),
)
EVERY_HOUR: Final = frozenset(range(24))


class Cron(msgspec.Struct, frozen=True):
    """When something is due. `either`: it is enough that one of the two kinds of day fits."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def next_after(self, zone: ZoneInfo, after: float) -> float | None:
        """The first time later than that, in seconds since the epoch; None when none comes."""
        day = datetime.fromtimestamp(after, zone).date() - DAY
        for _ in range(MOST_DAYS):
            # A time that is left out at midnight comes among those of the day after.
            both = (*self._on(day, zone), *self._on(day + DAY, zone))
            if found := [each for each in both if each > after]:
                return min(found)
            day += DAY
        return None

    def _on(self, day: date, zone: ZoneInfo) -> Iterator[float]:
        """The times of a day, in no order."""
        if not self._has(day):
            return
        folds = (0, 1) if self.hours == EVERY_HOUR else (0,)
        for hour in self.hours:
            for minute in self.minutes:
                for fold in folds:
                    local = datetime.combine(day, time(hour, minute, tzinfo=zone, fold=fold))
                    at = local.timestamp()
                    # Within one zone the clock is compared: it does not show what is left out.
                    if len(folds) == 1 or datetime.fromtimestamp(at, zone) == local:
                        yield at

    def _has(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_month = day.day in self.days
        by_week = day.isoweekday() % 7 in self.weekdays
        return (by_month or by_week) if self.either else (by_month and by_week)


def parsed(text: str) -> Cron:
    """The five fields of a crontab; `BadRequest` says which of them is none."""
    parts = text.split()
    if len(text) > LONGEST or len(parts) != len(FIELDS):
        raise BadRequest(
            "Validation error: 'cron' has five fields: minute, hour, day of the month, month and "
            "day of the week, as in '30 2 * * *'."
        )
    values = [_values(field, part) for field, part in zip(FIELDS, parts, strict=True)]
    minutes, hours, days, months, weekdays = values
    # As in Vixie's: a field that begins with a star restricts nothing by itself.
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    weekdays = frozenset(each % 7 for each in weekdays)
    return Cron(minutes, hours, days, months, weekdays, either)


def _values(field: Field, text: str) -> frozenset[int]:
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise _bad(field)
        span, step = match[1], match[2]
        if span == "*":
            least, most = field.least, field.most
        else:
            first, _, last = span.partition("-")
            least = _value(field, first)
            most = _value(field, last) if last else least
            if step is not None and not last:
                raise _bad(field)  # what "5/15" means depends on who reads it
        if least > most or (step is not None and not int(step)):
            raise _bad(field)
        found.update(range(least, most + 1, int(step or 1)))
    return frozenset(found)


def _value(field: Field, text: str) -> int:
    if text.upper() in field.names:
        return field.names[text.upper()]
    if not (text.isdigit() and len(text) <= 2 and field.least <= int(text) <= field.most):
        raise _bad(field)
    return int(text)


def _bad(field: Field) -> BadRequest:
    return BadRequest(
        f"Validation error: the {field.name} of 'cron' is {field.least} to {field.most}, a range, "
        "a list, or '*' or a range with a step ('*/15')."
    )


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name in IANA's database; `BadRequest` when there is none."""
    if _ZONE.fullmatch(name) and not name.startswith(_NO_ZONES):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise BadRequest(
        "Validation error: 'time_zone' is a name of IANA's database, as 'Europe/Berlin'."
    )
