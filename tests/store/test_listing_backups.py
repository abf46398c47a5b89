"""Lists of backups: newest first, all of them, and never without an end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib import errors
from chalicelib.status import BackupStatus
from chalicelib.store import ending_backups, listing_backups, making_backups
from chalicelib.store.listing_backups import Page
from chalicelib.store.models import Backup
from tests.support.bare import fresh
from tests.support.rows import TENANT, new_instance

pytestmark = pytest.mark.usefixtures("plain_world")
List = Callable[..., Page]
LISTS: dict[str, tuple[List, str]] = {
    "of_the_project": (listing_backups.of_tenant, TENANT),
    "of_the_instance": (listing_backups.of_instance, "source"),
}
OF_ONE = pytest.mark.parametrize(("of", "whose"), LISTS.values(), ids=LISTS)


def made(number: int, times: Callable[[int], float] = float) -> list[Backup]:
    """So many backups of an instance, the oldest first."""
    source, rows = new_instance(id="source"), list[Backup]()
    for each in range(number):
        row = making_backups.new_backup(source, str(each))
        row.created = 1e9 + times(each)
        row.save()
        rows.append(row)
    return rows


def bury(row: Backup) -> None:
    row.update(actions=[Backup.status.set(BackupStatus.DELETED), *ending_backups.buried()])


def read(of: Callable[[str | None], Page]) -> list[str]:
    """All pages of a list; none of them is empty."""
    found: list[str] = []
    marker = None
    while True:
        page = of(marker)
        found += [row.id for row in page.rows]
        marker = page.marker
        if marker is None:
            return found
        assert page.rows


@OF_ONE
def test_backups_are_listed_newest_first_a_page_at_a_time(of: List, whose: str) -> None:
    rows = made(7, lambda number: number // 2 + 0.1)  # two of the same moment
    found = read(lambda marker: of(whose, 2, marker))
    assert len(found) == 7
    assert set(found) == {row.id for row in rows}
    created = {row.id: row.created for row in rows}
    assert [created[each] for each in found] == sorted(created.values(), reverse=True)
    assert [row.id for row in of(whose, 100, found[-2]).rows] == found[-1:]
    bury(next(row for row in rows if row.id == found[3]))
    assert [row.id for row in of(whose, 100, found[3]).rows] == found[4:], "it keeps its place"
    assert found[3] not in read(lambda marker: of(whose, 2, marker))


@OF_ONE
def test_a_filter_reads_until_a_page_is_full_and_not_without_an_end(
    of: List, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_backups, "READ_AT_ONCE", 2)
    monkeypatch.setattr(listing_backups, "MOST_READ", 6)
    oldest, *_ = made(14)

    def fits(row: Backup) -> bool:
        return row.id == oldest.id

    first = of(whose, 1, None, fits)
    assert first.rows == []
    assert first.marker is not None, "there may be more"
    second = of(whose, 1, first.marker, fits)
    assert [row.id for row in second.rows] == [oldest.id]
    assert second.marker is None


def test_a_project_is_listed_before_its_index_is_there() -> None:
    """A table of an older release gets it minutes after the functions know of it."""
    with fresh() as world:
        rows = made(5, lambda number: number // 2)
        expected = read(lambda marker: listing_backups.of_tenant(TENANT, 2, marker))
        table = world.dynamodb.table(Backup.Meta.table_name, "Query")
        del table.indexes["time-index"]
        assert read(lambda marker: listing_backups.of_tenant(TENANT, 2, marker)) == expected
        assert set(expected) == {row.id for row in rows}


def test_everybodys_are_listed_without_those_that_are_gone() -> None:
    rows = made(5)
    bury(rows[2])
    stranger = new_instance(id="another")
    stranger.tenant_id = "another"
    theirs = making_backups.new_backup(stranger, "theirs")
    theirs.save()
    left = [row.id for row in rows if row is not rows[2]] + [theirs.id]
    assert sorted(read(lambda marker: listing_backups.of_everybody(2, marker))) == sorted(left)


@OF_ONE
@pytest.mark.parametrize("unknown", [True, False])
def test_a_backup_of_another_list_is_no_place_to_go_on_from(
    of: List, whose: str, *, unknown: bool
) -> None:
    """Who may see the one would learn when the other was made."""
    _, other = made(2)
    other.update(actions=[Backup.instance_id.set("another"), Backup.tenant_id.set("another")])
    with pytest.raises(errors.BadRequest, match="no backup of the marker"):
        of(whose, 2, "unknown" if unknown else other.id)
