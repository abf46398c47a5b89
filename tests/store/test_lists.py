"""Lists of instances: what fits, in an order, page by page, with bounded reads."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from chalicelib.errors import BadRequest
from chalicelib.lifecycle import Status
from chalicelib.store import lists
from chalicelib.store.lists import ANY, Filter, Order
from chalicelib.store.models import Instance
from tests.support.bare import World
from tests.support.rows import TENANT, new_instance

ORDERS = [None, *(Order(key, down) for key in lists.SORTABLE for down in (False, True))]
FILTERS = [
    ANY,
    Filter(name="b"),
    Filter(status=Status.ERROR),
    Filter(datastore="mysql"),
    Filter(datastore_version="10.11.6"),
    Filter(tags=frozenset({"eu"})),
    Filter(tags=frozenset({"eu", "shop"})),
    Filter(name="b", tags=frozenset({"eu"})),
    Filter(name="nobody"),
]


@pytest.fixture
def fleet(world: World) -> list[Instance]:
    """Seven of one tenant, no two alike, and one of another."""
    rows = [
        new_instance(name="b", created=3.0, tags={"eu", "shop"}),
        new_instance(name="a", created=1.0, tags={"eu"}),
        new_instance(name="b", created=2.0, status=Status.ERROR, protected=True),
        new_instance(name="c", created=2.0, datastore_name="mysql", datastore_version="8"),
        new_instance(name="a", created=5.0, datastore_version_number="11.4"),
        new_instance(name="d", created=4.0, tags={"shop"}),
        new_instance(name="b", created=0.0, tags={"europe"}),
    ]
    for row in (*rows, new_instance("tenant-2", name="b", tags={"eu"})):
        row.save()
    return rows


def pages(limit: int, wanted: Filter = ANY, order: Order | None = None) -> list[list[Instance]]:
    found, marker = list[list[Instance]](), None
    while True:
        rows, marker = lists.of_tenant(TENANT, limit, marker, wanted, order)
        assert len(rows) <= limit
        found.append(rows)
        if marker is None:
            return found


def ids(rows: list[Instance]) -> list[str]:
    return [row.id for row in rows]


def require_whole(fleet: list[Instance], limit: int, order: Order | None, wanted: Filter) -> None:
    """The pages of that size are all that fits, in that order."""
    place, down = (order or Order("id")).place, bool(order and order.descending)
    right = sorted(filter(wanted.fits, fleet), key=place, reverse=down)
    found = ids([row for page in pages(limit, wanted, order) for row in page])
    assert found == ids(right), (order, wanted)


@pytest.mark.parametrize("limit", [1, 2, 20])
@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_pages_are_a_whole_list_of_what_fits_in_its_order(
    fleet: list[Instance], limit: int
) -> None:
    """All orders and filters of one fleet, which takes longer to make than to list."""
    for order, wanted in itertools.product(ORDERS, FILTERS):
        require_whole(fleet, limit, order, wanted)


@pytest.mark.parametrize("limit", [1, 2, 20])
@pytest.mark.parametrize("world", ["moto"], indirect=True)
def test_the_oracle_pages_each_order_and_each_filter_alike(
    fleet: list[Instance], limit: int
) -> None:
    """What is asked of a table follows from the one or the other; together they are sorted here."""
    for order in ORDERS:
        require_whole(fleet, limit, order, ANY)
    for wanted in FILTERS:
        require_whole(fleet, limit, None, wanted)


def test_a_filter_says_what_it_means(fleet: list[Instance]) -> None:
    found = [len([row for row in fleet if wanted.fits(row)]) for wanted in FILTERS]
    assert found == [7, 3, 1, 1, 6, 2, 1, 1, 0]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_a_marker_that_is_gone_meanwhile_still_has_its_place(
    fleet: list[Instance], order: Order | None
) -> None:
    whole = ids([row for page in pages(20, ANY, order) for row in page])
    first, marker = lists.of_tenant(TENANT, 3, None, ANY, order)
    assert marker == first[-1].id
    gone: list[Any] = [Instance.status.set(Status.DELETED), Instance.index_tenant.remove()]
    first[-1].update(actions=gone)
    assert ids(lists.of_tenant(TENANT, 20, marker, ANY, order).rows) == whole[3:]


@pytest.mark.parametrize("marker", ["nobody", "of another"])
def test_an_order_has_no_place_for_a_marker_it_does_not_know(
    fleet: list[Instance], marker: str
) -> None:
    other = lists.of_tenant("tenant-2", 1, None).rows[0]
    chosen = other.id if marker == "of another" else marker
    with pytest.raises(BadRequest, match="marker"):
        lists.of_tenant(TENANT, 2, chosen, ANY, Order("name"))


def test_a_page_that_filters_ends_where_it_has_read_much(
    fleet: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "READ_AT_ONCE", 2)
    monkeypatch.setattr(lists, "MOST_READ", 4)
    found = pages(20, Filter(name="nobody"))
    assert found == [[], []], "a page with nothing in it has a next one"
    everybodys = lists.of_everybody(20, None, Filter(name="nobody"), None, deleted=False)
    assert everybodys.rows == []
    assert everybodys.marker is not None


def test_what_is_too_many_is_not_sorted(
    fleet: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MOST_SORTED", 6)
    with pytest.raises(BadRequest, match="more than 6"):
        lists.of_tenant(TENANT, 2, None, ANY, Order("name"))
    assert lists.of_tenant(TENANT, 20, None).marker is None


def test_all_tenants_are_filtered_too(fleet: list[Instance]) -> None:
    found = lists.of_everybody(20, None, Filter(tags=frozenset({"eu"})), None, deleted=False)
    assert {row.tenant_id for row in found.rows} == {TENANT, "tenant-2"}
    assert len(found.rows) == 3
