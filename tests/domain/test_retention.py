"""What of a schedule's backups goes, and in which order: never from under a chain that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.retention import DAY_SECONDS, chain_of, given_up, places_taken

NOW: Final = 1000 * DAY_SECONDS
OURS: Final = "schedule"


class Row(msgspec.Struct):
    """A backup as far as it matters."""

    id: str
    created: float
    parents: Sequence[str] = ()
    status: str = "COMPLETED"
    schedule_id: str | None = OURS
    children: float = 0
    verdict: str | None = None
    updated: float = 0.0


class Keep(msgspec.Struct):
    """A schedule as far as it matters."""

    keep_count: float | None = None
    keep_days: float | None = None
    id: str = OURS


def counted(rows: list[Row]) -> list[Row]:
    """The same, each with the number of its children."""
    for row in rows:
        row.children = sum(
            each.parents[-1:] == [row.id] and each.status != "FAILED" for each in rows
        )
    return rows


def chain(name: str, length: int, first_day: float, **more: Any) -> list[Row]:
    """A full backup and increments, one a day."""
    ids = [f"{name}{number}" for number in range(length)]
    return [
        Row(each, (first_day + number) * DAY_SECONDS, ids[:number], **more)
        for number, each in enumerate(ids)
    ]


def gone_after_all(keep: Keep, rows: list[Row], **more: Any) -> list[str]:
    """What goes in the end, in its order, when each that goes is gone before the next look."""
    left, gone = counted(list(rows)), []
    while going := given_up(keep, left, NOW, **more):
        gone += going
        left = counted([row for row in left if row.id not in going])
    return gone


def test_without_a_bound_nothing_goes_not_even_what_failed() -> None:
    rows = [Row("a", 1.0, status="FAILED"), Row("b", 2.0)]
    assert given_up(Keep(), rows, NOW) == []


def test_a_chain_goes_from_its_end_when_none_of_it_is_kept() -> None:
    rows = chain("a", 3, 0) + chain("b", 3, 3)
    assert gone_after_all(Keep(keep_count=3), rows) == ["a2", "a1", "a0"]
    assert gone_after_all(Keep(keep_count=4), rows) == []


def test_age_and_count_are_both_bounds_and_the_newest_stays_in_any_case() -> None:
    rows = [Row(f"d{day}", NOW - day * DAY_SECONDS) for day in (9, 8, 2, 1)]
    assert given_up(Keep(keep_days=7), rows, NOW) == ["d9", "d8"]
    assert given_up(Keep(keep_days=7, keep_count=1), rows, NOW) == ["d9", "d8", "d2"]
    old = [Row("x", 0.0), Row("y", 1.0)]
    assert given_up(Keep(keep_days=7), old, NOW) == ["x"]


@pytest.mark.parametrize(
    "more",
    [
        {"schedule_id": None},
        {"schedule_id": "another"},
        {"schedule_id": None, "status": "DELETE_FAILED"},
        {"status": "NEW"},
        {"status": "BUILDING"},
    ],
)
def test_a_chain_with_anything_that_is_not_to_go_stays_whole(more: dict[str, Any]) -> None:
    rows = [*chain("a", 2, 0), Row("own", 5.0, ["a0", "a1"], **more), *chain("b", 2, 9)]
    assert gone_after_all(Keep(keep_count=1), rows) == []


def test_what_is_read_keeps_its_chain() -> None:
    rows = chain("a", 3, 0) + chain("b", 1, 9)
    assert gone_after_all(Keep(keep_count=1), rows, read={"a1"}) == []
    assert gone_after_all(Keep(keep_count=1), rows) == ["a2", "a1", "a0"]


def test_what_has_failed_goes_when_a_newer_one_is_there_and_counts_for_nothing() -> None:
    rows = [Row("a", 1.0), Row("b", 2.0, status="FAILED"), Row("c", 3.0, status="FAILED")]
    assert given_up(Keep(keep_count=1), rows, NOW) == ["b"]
    assert given_up(Keep(keep_count=1), [*rows, Row("d", 4.0)], NOW) == ["a", "b", "c"]


def days(*verdicts: str | None, keep: Keep) -> list[str]:
    """What is left of daily full backups with these verdicts, by their days."""
    rows: list[Row] = []
    for day, verdict in enumerate(verdicts):
        rows.append(Row(str(day), (900 + day) * DAY_SECONDS, verdict=verdict))
        gone = given_up(keep, rows, (900 + day) * DAY_SECONDS)
        rows = [row for row in rows if row.id not in gone]
    return [row.id for row in rows]


def test_damaged_ones_take_no_sound_ones_place() -> None:
    verdicts = [*["passed"] * 10, *["failed"] * 7]
    left = days(*verdicts, keep=Keep(keep_count=7))
    assert left == [str(day) for day in range(3, 17)], "as many of either, and nothing else"
    left = days(*verdicts, keep=Keep(keep_days=3))
    assert left == ["9", *(str(day) for day in range(13, 17))], "the last sound one, however old"
    left = days(*verdicts, "passed", keep=Keep(keep_count=1))
    assert left == ["17"], "what is damaged stays no longer than others"
    assert days("failed", "failed", keep=Keep(keep_count=1)) == ["1"], "where all are"


def test_what_builds_on_a_damaged_one_is_damaged_until_it_was_tried_itself() -> None:
    rows = chain("a", 1, 0) + chain("b", 3, 1)
    rows[1].verdict = "failed"
    assert gone_after_all(Keep(keep_count=1), rows) == []
    rows[3].verdict = "passed"
    assert gone_after_all(Keep(keep_count=1), rows) == ["a0"]


def test_what_could_not_be_deleted_is_tried_again() -> None:
    rows = [Row("a", 1.0, status="DELETE_FAILED", updated=NOW - DAY_SECONDS), Row("b", 2.0)]
    assert given_up(Keep(keep_count=5), rows, NOW) == ["a"]


@st.composite
def histories(draw: st.DrawFn) -> list[Row]:
    """Backups of an instance, each built on one that is there, or on none."""
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 12))):
        complete = [row for row in rows if row.status == "COMPLETED"]
        parent = draw(st.sampled_from([None, *complete]))
        rows.append(
            Row(
                str(number),
                NOW - (12 - number) * DAY_SECONDS,
                [*parent.parents, parent.id] if parent else [],
                draw(st.sampled_from(["COMPLETED", "COMPLETED", "COMPLETED", "FAILED"])),
                draw(st.sampled_from([OURS, OURS, OURS, None])),
                verdict=draw(st.sampled_from([None, None, "passed", "failed"])),
            )
        )
    return rows


def is_sound(row: Row, rows: list[Row]) -> bool:
    """By its own verdict, or by that of the nearest that it builds on."""
    verdicts = [each.verdict for each in rows if each.id in (*row.parents, row.id) and each.verdict]
    return verdicts[-1:] != ["failed"]


@settings(max_examples=100, deadline=None)
@given(
    histories(),
    st.none() | st.integers(1, 8),
    st.none() | st.integers(1, 8),
    st.sets(st.sampled_from([str(n) for n in range(12)]), max_size=2),
)
def test_what_is_left_is_whole(
    rows: list[Row], count: int | None, days: int | None, read: set[str]
) -> None:
    keep = Keep(count, days)
    gone = set(gone_after_all(keep, rows, read=read))
    left = {row.id: row for row in rows if row.id not in gone}
    for row in left.values():
        if row.status == "COMPLETED":
            assert all(left[each].status == "COMPLETED" for each in row.parents)
    assert all(row.id in left for row in rows if row.schedule_id is None)
    complete = [row for row in rows if row.schedule_id == OURS and row.status == "COMPLETED"]
    sound = [row for row in complete if is_sound(row, rows)]
    for those in (complete, sound):
        if those:
            assert those[-1].id in left, "the newest stays"
        in_time = [row for row in those if days is None or row.created >= NOW - days * DAY_SECONDS]
        for row in in_time[-count:] if count is not None else in_time:
            assert row.id in left, "what is within both bounds stays"
    if count is None and days is None:
        assert not gone
    in_time = [row for row in complete if days is None or row.created >= NOW - days * DAY_SECONDS]
    reasons = {row.parents[0] if row.parents else row.id for row in rows if row.id in read}
    for row in complete:
        if row.id in left and row not in in_time and not reasons:
            root = (*row.parents, row.id)[0]
            others = [each for each in left.values() if root in (*each.parents, each.id)]
            foreign = [each for each in left.values() if each.schedule_id is None]
            last = row is complete[-1] or row in sound[-1:]
            assert others != [row] or foreign or last, f"{row} stays for no reason"


@settings(max_examples=300, deadline=None)
@given(
    histories(),
    st.none() | st.integers(1, 3),
    st.none() | st.integers(1, 8),
    st.data(),
)
def test_who_sees_the_places_that_are_taken_and_what_goes_gives_nothing_up_that_stays(
    rows: list[Row], count: int | None, days: int | None, data: st.DataObject
) -> None:
    """Whatever has become of any of them since the index has told of it."""
    keep = Keep(count, days)
    going = given_up(keep, counted(rows), NOW)
    chains = {chain_of(row) for row in rows if row.id in going}
    taken = places_taken(keep, rows, NOW)
    for row in data.draw(st.lists(st.sampled_from(rows), unique_by=lambda row: row.id)):
        row.status = data.draw(st.sampled_from(["COMPLETED", "DELETING", "DELETED", "FAILED"]))
        row.verdict = data.draw(st.sampled_from([row.verdict, "passed", "failed"]))
    seen = [row for row in rows if row.id in taken or chain_of(row) in chains]
    assert set(given_up(keep, seen, NOW)) <= set(given_up(keep, rows, NOW))


@pytest.mark.parametrize(
    ("keep", "taken"),
    [
        (Keep(keep_days=3), {"b0", "b1"}),
        (Keep(keep_count=1), {"b0", "b1"}),
        (Keep(keep_count=3), {"a0", "a1", "b0", "b1"}),
    ],
)
def test_by_age_alone_the_newest_takes_a_place_and_what_it_builds_on(
    keep: Keep, taken: set[str]
) -> None:
    rows = [*chain("x", 2, 0), *chain("a", 2, 990), *chain("b", 2, 995)]
    assert places_taken(keep, rows, NOW) == taken
    damaged, failed = Row("d", NOW - 2, verdict="failed"), Row("f", NOW - 1, status="FAILED")
    assert places_taken(keep, [*rows, damaged, failed], NOW) == {*taken, "d", "f"}
