"""When a schedule is due: crontabs beside a clock that is walked minute by minute, intervals, and
the moment at which a run begins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import cron, schedules
from chalicelib.errors import BadRequest

CHANGES: Final = [
    ("America/New_York", "2026-03-08T02:00"),
    ("America/New_York", "2026-11-01T02:00"),
    ("Europe/Berlin", "2026-10-25T03:00"),
    ("Australia/Lord_Howe", "2026-10-04T02:00"),  # by half an hour
    ("Asia/Beirut", "2026-03-29T00:00"),  # at midnight
    ("Pacific/Apia", "2011-12-30T12:00"),  # a day that there was not
    ("Asia/Kolkata", "2026-06-01T00:00"),
]
"""Zones, each with a time around which the clock is put forward, back, or not at all."""
MINUTE: Final = 60


def at(zone: str, text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=cron.zone_of(zone)).timestamp()


def shown(zone: str, when: float | None) -> str:
    assert when is not None
    return datetime.fromtimestamp(when, cron.zone_of(zone)).isoformat(timespec="minutes")


def fits(text: str, moment: datetime) -> bool:
    """Whether a minute on a clock is one of a crontab of numbers, stars and steps."""
    values = (
        moment.minute,
        moment.hour,
        moment.day,
        moment.month,
        moment.isoweekday() % 7,
    )
    found = []
    for field, value in zip(text.split(), values, strict=True):
        parts = [part.partition("/") for part in field.split(",")]
        found.append(
            any(
                (span == "*" and value % int(step or 1) == 0) or span == str(value)
                for span, _, step in parts
            )
        )
    minute, hour, day, month, weekday = found
    _, _, third, _, fifth = text.split()
    either = third[0] != "*" and fifth[0] != "*"
    return minute and hour and month and ((day or weekday) if either else (day and weekday))


def walked(text: str, zone: str, first: float, minutes: int) -> set[float]:
    """The times of a crontab by a clock that is looked at each minute, as its man page has it."""
    hourly = text.split()[1] == "*"
    due: set[float] = set()
    met: set[datetime] = set()
    before: datetime | None = None
    for minute in range(-1500, minutes):
        now = first + minute * MINUTE
        local = datetime.fromtimestamp(now, cron.zone_of(zone)).replace(tzinfo=None)
        left_out = timedelta(0)
        if before is not None and local > before + timedelta(minutes=1):
            left_out = local - before - timedelta(minutes=1)
        if not hourly and left_out:
            for skipped in range(int(left_out.total_seconds()) // MINUTE):
                missing = before + timedelta(minutes=1 + skipped) if before else local
                if fits(text, missing):
                    due.add(now + skipped * MINUTE)
        if fits(text, local) and (hourly or local not in met):
            due.add(now)
        met.add(local)
        before = local
    return {each for each in due if first < each < first + minutes * MINUTE}


def computed(text: str, zone: str, first: float, minutes: int) -> Iterator[float]:
    plan = cron.parsed(text)
    now: float | None = first
    while now is not None:
        now = plan.next_after(cron.zone_of(zone), now)
        if now is None or now >= first + minutes * MINUTE:
            return
        yield now


crontabs = st.builds(
    lambda minute, hour, day, month, weekday: f"{minute} {hour} {day} {month} {weekday}",
    st.sampled_from(["0", "30", "*/20", "5,45", "59"]),
    st.sampled_from(["*", "2", "0,3", "23", "*/2"]),
    st.sampled_from(["*", "*", "8", "1,25,29,30"]),
    st.sampled_from(["*", "*", "3,10,11,12"]),
    st.sampled_from(["*", "*", "0", "1,3,5"]),
)


@settings(max_examples=25, deadline=None)
@given(crontabs, st.sampled_from(CHANGES), st.integers(-1500, 300))
def test_a_crontab_is_due_when_a_clock_says_so(
    text: str, change: tuple[str, str], offset: int
) -> None:
    zone, around = change
    first = at(zone, around) + offset * MINUTE
    assert list(computed(text, zone, first, 2000)) == sorted(walked(text, zone, first, 2000))


@pytest.mark.parametrize(
    ("text", "zone", "after", "following"),
    [
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00", "2026-03-08T03:30-04:00"),
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00", "2026-11-01T01:30-04:00"),
        ("30 1 * * *", "America/New_York", "2026-11-01T01:30", "2026-11-02T01:30-05:00"),
        ("30 * * * *", "America/New_York", "2026-11-01T01:30", "2026-11-01T01:30-05:00"),
        ("30 * * * *", "America/New_York", "2026-03-08T01:30", "2026-03-08T03:30-04:00"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", "2028-02-29T00:00+00:00"),
        ("0 0 29 2 *", "UTC", "2096-02-29T00:00", "2104-02-29T00:00+00:00"),
        ("0 0 29 feb */7", "UTC", "2072-03-01T00:00", "2088-02-29T00:00+00:00"),
        ("0 0 13 * FRI", "UTC", "2026-11-01T00:00", "2026-11-06T00:00+00:00"),
        ("0 0 31 * *", "UTC", "2026-08-31T00:00", "2026-10-31T00:00+00:00"),
        ("0 4 * * 7", "UTC", "2026-11-27T00:00", "2026-11-29T04:00+00:00"),
        ("15 8-18/5 * * mon-fri", "UTC", "2026-11-27T14:00", "2026-11-27T18:15+00:00"),
    ],
)
def test_a_crontab_by_example(text: str, zone: str, after: str, following: str) -> None:
    found = cron.parsed(text).next_after(cron.zone_of(zone), at(zone, after))
    assert shown(zone, found) == following


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "five fields"),
        ("0 0 * *", "five fields"),
        ("@daily", "five fields"),
        ("0 0 0 0 * * *", "five fields"),
        ("60 0 * * *", "minute of 'cron' is 0 to 59"),
        ("0 24 * * *", "hour of 'cron' is 0 to 23"),
        ("0 0 0 * *", "day of the month"),
        ("0 0 * 13 *", "month of 'cron' is 1 to 12"),
        ("0 0 * * 8", "day of the week"),
        ("0 0 * * FRI-MON", "day of the week"),
        ("5/15 0 * * *", "minute"),
        ("*/0 0 * * *", "minute"),
        ("1-2-3 0 * * *", "minute"),
        ("-1 0 * * *", "minute"),
        ("\u0663 0 * * *", "minute"),
        ("0 0 , * *", "day of the month"),
        (f"{'0,' * 60}0 0 * * *", "five fields"),
    ],
)
def test_what_is_no_crontab_is_refused_with_the_field_that_is_none(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        cron.parsed(text)


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "../UTC", "Europe", "right/UTC", "localtime", "/etc/passwd", "é"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="IANA"):
        cron.zone_of(name)


def planned(**values: Any) -> Any:
    made = {"id": "1", "created": 1000.0, "cron": None, "interval_hours": None, "time_zone": "UTC"}
    return SimpleNamespace(**(made | values))


def test_an_interval_is_counted_from_the_making() -> None:
    plan = schedules.plan_of(planned(interval_hours=2))
    assert plan.next_after(1000.0) == 8200.0
    assert plan.next_after(8199.0) == 8200.0
    assert plan.next_after(8200.0) == 15400.0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "either a 'cron' or an 'interval_hours'"),
        ({"cron": "0 0 * * *", "interval_hours": 1}, "either"),
        ({"cron": "0,10 0 * * *"}, "within 15 minutes"),
        ({"cron": "0,50 0 * * *"}, "within 15 minutes"),
        ({"cron": "0 0 * * *", "time_zone": "Nowhere"}, "IANA"),
    ],
)
def test_what_is_due_too_often_or_never_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        schedules.plan_of(planned(**values))


def test_a_day_that_never_comes_is_refused() -> None:
    with pytest.raises(BadRequest, match="never comes"):
        schedules.plan_of(planned(cron="0 0 30 2 *")).next_after(0.0)


def test_a_fleets_runs_for_midnight_are_spread_evenly_over_an_hour() -> None:
    midnight = at("UTC", "2026-11-28T00:00")
    begun = [
        schedules.begins_at(planned(id=f"schedule-{number}", cron="0 0 * * *"), midnight)
        for number in range(600)
    ]
    minutes = [
        sum(minute <= each - midnight < minute + 600 for each in begun)
        for minute in range(0, 3600, 600)
    ]
    assert sum(minutes) == 600, "within the hour"
    assert min(minutes) > 60
    again = schedules.begins_at(planned(id="schedule-7", cron="0 0 * * *"), midnight)
    assert again == begun[7], "a schedule's moment is its own"


def test_what_comes_often_begins_within_a_quarter_of_its_time() -> None:
    hourly = planned(id="schedule-1", cron="0 * * * *")
    assert 0.0 <= schedules.begins_at(hourly, 0.0) < 900.0
