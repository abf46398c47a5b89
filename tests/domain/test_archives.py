"""To which moments an instance can be restored, and from what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from chalicelib.domain import archives as rules
from chalicelib.errors import BadRequest
from chalicelib.status import BackupStatus
from guest_agent.backups import archiver


class Base(NamedTuple):
    id: str
    reached_ms: float | None
    archive_id: str | None = "a"
    archive_number: int = 0
    status: str = BackupStatus.COMPLETED
    parents: Sequence[str] = ()
    verdict: str | None = None
    manager: str = "postgresql"
    reached_position: str | None = None


class Archive(NamedTuple):
    id: str = "a"
    until_ms: float | None = 1000.0
    number: int = 7
    sealed_key: str | None = "sealed"
    until_position: str | None = None


def chosen(target: int, bases: list[Base], archives: list[Archive]) -> str:
    return rules.base_for(rules.Moment(target), bases, archives, "Instance i")[0].id


def test_the_newest_base_before_the_moment_is_chosen_its_own_moment_included() -> None:
    bases = [Base("1", 100), Base("2", 200), Base("late", 900)]
    assert [chosen(at, bases, [Archive()]) for at in (100, 199, 200, 899, 1000)] == [
        *("1", "1", "2", "2", "late")
    ]


def test_a_base_that_is_known_to_be_damaged_is_the_last_that_is_chosen() -> None:
    sound = Base("1", 100)
    damaged = [Base("2", 200, verdict="failed"), Base("3", 300, parents=["2"])]
    assert chosen(900, [sound, *damaged], [Archive()]) == "1"
    assert chosen(900, damaged, [Archive()]) == "3", "the engine may make something of it"
    mended = Base("4", 400, parents=["2", "3"], verdict="passed")
    assert chosen(900, [sound, *damaged, mended], [Archive()]) == "4"


class Begun(NamedTuple):
    id: str = "a"
    created: float = 0.0
    ended: float | None = None


@pytest.mark.parametrize(("more_ms", "may"), [(0, True), (1, False)])
def test_a_clock_that_ends_no_archive_keeps_no_backup_from_being_a_base(
    more_ms: int, may: bool
) -> None:
    """What a guest goes on with is believed here, and no more: both have a bound of their own."""
    told_ms = 1_800_000_000_000
    reached_ms = told_ms - archiver.MOST_BACK_MS - more_ms
    before = rules.Before("a", 7, told_ms)
    assert rules.may_go_on(Begun(), 0.0, before, 7, reached_ms) is may


def test_a_log_with_whole_seconds_tells_apart_their_ends_alone() -> None:
    """Nothing later than what was asked for is in it: who has dropped a table half a second
    later has that again."""
    told = [rules.told_apart(ms, "mariadb") for ms in (1999, 2000, 2500, 2998, 2999)]
    assert told == [1999, 1999, 1999, 1999, 2999]
    assert [rules.told_apart(ms, "postgresql") for ms in (2000, 2500)] == [2000, 2500]


def test_the_range_of_a_log_with_whole_seconds_is_of_those() -> None:
    """Both ends are taken, and what is between them."""
    bases, archive = [Base("1", 1300, manager="mariadb")], Archive(until_ms=5500)
    assert rules.range_of(archive, bases) == rules.Range(1999, 4999)
    for target in (1999, 2500, 4999, 5500):
        assert chosen(target, bases, [archive]) == "1"
    for target in (1300, 1998, 6999):
        with pytest.raises(BadRequest, match=r"from 1970-01-01T00:00:01\.999Z"):
            chosen(target, bases, [archive])
    assert rules.range_of(Archive(until_ms=1998), bases) is None, "no second is over behind it"


@pytest.mark.parametrize("target", [99, 1001])
def test_a_moment_outside_is_refused_with_what_is_possible(target: int) -> None:
    with pytest.raises(BadRequest) as refused:
        chosen(target, [Base("1", 100), Base("other", 10, "b")], [Archive(), Archive("b", 50)])
    for ms in (100, 1000, 10, 50):
        assert rules.shown(ms) in refused.value.message


def test_between_two_archives_nothing_is_possible() -> None:
    bases = [Base("1", 100), Base("2", 2000, "b")]
    archives = [Archive(), Archive("b", 3000)]
    assert chosen(1000, bases, archives) == "1"
    assert chosen(2000, bases, archives) == "2"
    with pytest.raises(BadRequest):
        chosen(1500, bases, archives)


@pytest.mark.parametrize(
    "base",
    [Base("x", 100, None), Base("x", None), Base("x", 100, status=BackupStatus.DELETING)],
)
def test_what_is_no_base_gives_nothing_back(base: Base) -> None:
    assert rules.range_of(Archive(), [base]) is None
    with pytest.raises(BadRequest, match="No moment is possible"):
        chosen(500, [base], [Archive()])


def test_what_nobody_can_open_gives_nothing_back() -> None:
    """A restored table lacks the key of what was sent; where nothing was, none is missing."""
    base = Base("1", 100)
    with pytest.raises(BadRequest, match="No moment is possible"):
        chosen(500, [base], [Archive(sealed_key=None)])
    assert rules.range_of(Archive(sealed_key=None), [base]) is None
    assert chosen(500, [base], [Archive(sealed_key=None, number=0)]) == "1"


def test_what_no_base_needs_is_below_the_lowest_number() -> None:
    bases = [Base("1", 1, archive_number=7), Base("2", 2, archive_number=4), Base("3", 3, "b")]
    assert rules.floor_of(Archive(), bases) == 4
    assert rules.floor_of(Archive(), bases[2:]) is None


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2000-01-01T00:00:00Z", 946684800000),
        ("2000-01-01T01:00:00.5+01:00", 946684800500),
        ("2000-01-01", 946684800000),
    ],
)
def test_a_time_is_utc_unless_it_names_an_offset(text: str, ms: int) -> None:
    assert rules.moment(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        *("", "noon", "1999-12-31T23:59:59Z", "2026-13-01", "9" * 60),
        *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        rules.moment(text)


def test_each_moment_that_is_taken_can_be_told_of() -> None:
    assert rules.shown(rules.moment("9999-12-31T23:59:59.999Z")) == "9999-12-31T23:59:59.999Z"


def at(position: str, bases: list[Base], archives: list[Archive]) -> str:
    return rules.base_for(rules.Position(position), bases, archives, "Instance i")[0].id


def base(name: str, ms: int, position: str | None, archive: str = "a", **changes: Any) -> Base:
    return Base(name, ms, archive, reached_position=position, **changes)


def test_the_newest_base_before_a_position_is_chosen_its_own_included() -> None:
    bases = [base("1", 100, "0/100"), base("2", 200, "0/A000000"), base("late", 900, "1/0")]
    archives = [Archive(until_position="1/10")]
    told = ("0/100", "0/9FFFFFF", "0/A000000", "0/ffffffff", "1/0", "1/10")
    assert [at(each, bases, archives) for each in told] == [*("1", "1", "2", "2", "late", "late")]
    assert rules.positions_of(archives[0], bases) == ("0/100", "1/10")


@pytest.mark.parametrize("position", ["0/FF", "1/11"])
def test_a_position_outside_is_refused_with_what_is_possible(position: str) -> None:
    bases, archives = [base("1", 100, "0/100")], [Archive(until_position="1/10")]
    with pytest.raises(BadRequest, match=r"cannot be restored to .* from 0/100 to 1/10\."):
        at(position, bases, archives)


def test_transactions_of_another_domain_or_server_have_no_place_between_these() -> None:
    bases = [base("1", 100, "0-1-5", manager="mariadb")]
    archives = [Archive(until_position="0-1-9")]
    assert at("0-1-7", bases, archives) == "1"
    for position in ("1-1-7", "0-2-7", "0-1-4", "0-1-10"):
        with pytest.raises(BadRequest, match="from 0-1-5 to 0-1-9"):
            at(position, bases, archives)


def test_a_log_that_was_begun_anew_has_its_transactions_twice_and_none_is_guessed() -> None:
    """Who has stolen a guest begins one anew, too."""
    bases = [
        base("before", 100, "0-1-5", manager="mariadb"),
        base("after", 2000, "0-1-5", "b", manager="mariadb"),
    ]
    archives = [Archive(until_position="0-1-9"), Archive("b", 3000, until_position="0-1-7")]
    with pytest.raises(BadRequest, match=r"was at 0-1-6 in more than one archive .* 'backupRef'"):
        at("0-1-6", bases, archives)
    assert [at("0-1-6", [each], archives) for each in bases] == ["before", "after"]
    assert at("0-1-8", bases, archives) == "before"


@pytest.mark.parametrize("until", [None, "", "nonsense", "0/FF", "0-1-9"])
def test_where_no_position_is_told_none_is_possible(until: str | None) -> None:
    archive, bases = Archive(until_position=until), [base("1", 100, "0/100")]
    assert rules.positions_of(archive, bases) is None
    with pytest.raises(BadRequest, match="No position is possible"):
        at("0/100", bases, [archive])


@pytest.mark.parametrize(
    ("manager", "text", "written"),
    [
        ("postgresql", "0/3000060", "0/3000060"),
        ("postgresql", "00000001/00abcdef", "1/ABCDEF"),
        ("mariadb", "0-1-42", "0-1-42"),
        ("mariadb", "00-1-042", "0-1-42"),
    ],
)
def test_a_position_is_written_as_its_engine_does(manager: str, text: str, written: str) -> None:
    assert rules.Position(text).written(manager) == written


@pytest.mark.parametrize(
    ("manager", "text", "what"),
    [
        ("postgresql", "0-1-42", "LSN"),
        ("postgresql", "0/3000060\n", "LSN"),
        ("postgresql", "123456789/0", "LSN"),
        ("mariadb", "0/3000060", "GTID"),
        ("mariadb", "0-1-42,1-1-5", "GTID"),
        ("mariadb", "binlog.000001:4", "GTID"),
        ("mariadb", "\u0661-1-1", "GTID"),
        ("redis", "0-1-42", "position"),
    ],
)
def test_what_is_no_position_of_its_engine_is_refused(manager: str, text: str, what: str) -> None:
    with pytest.raises(BadRequest, match=what):
        rules.Position(text).written(manager)
