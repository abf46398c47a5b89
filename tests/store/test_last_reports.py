"""Last reports: the newest by (generation, epoch, seq), read past the models."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.lifecycle import ServiceStatus
from chalicelib.store import guests, last_reports
from chalicelib.store.last_reports import LastReport, Reported
from chalicelib.store.models import ServiceStatusRow
from tests.support.bare import World
from tests.support.rows import accepted


def reported(order: tuple[int, int, int], **more: Any) -> Reported:
    return Reported(order=order, status="HEALTHY", **({"rejected": 0} | more))


def test_a_row_without_a_report_is_read(world: World) -> None:
    instance, _ = accepted()
    found = last_reports.read([instance.id, "another"])
    assert found == {
        instance.id: LastReport(
            order=(1, 0, 0),
            status=ServiceStatus.NEW,
            updated=world.now,
            volume_used=None,
            rejected=0,
        )
    }


def test_a_report_is_read_as_it_was_told(world: World) -> None:
    instance, _ = accepted()
    world.run(5)
    told = reported((1, 1, 1), rejected=3, reason="why", volume_used=0.5, volume_total=2.0)
    assert last_reports.write(instance.id, told)
    assert last_reports.read([instance.id])[instance.id] == LastReport(
        order=(1, 1, 1), status="HEALTHY", updated=world.now, volume_used=0.5, rejected=3
    )
    row = ServiceStatusRow.get(instance.id)
    assert (row.status_reason, row.volume_total) == ("why", 2.0)


@pytest.mark.parametrize(
    ("order", "stored"),
    [
        ((1, 2, 6), True),
        ((1, 3, 0), True),
        ((1, 2, 5), False),
        ((1, 2, 4), False),
        ((1, 1, 9), False),
        ((0, 9, 9), False),
        ((2, 9, 9), False),
    ],
)
def test_a_report_is_later_than_what_is_stored(
    world: World, order: tuple[int, int, int], stored: bool
) -> None:
    instance, _ = accepted()
    assert last_reports.write(instance.id, reported((1, 2, 5)))
    assert last_reports.write(instance.id, reported(order, rejected=1)) == stored
    last = last_reports.read([instance.id])[instance.id]
    assert (last.order, last.rejected) == ((order, 1) if stored else ((1, 2, 5), 0))


def test_what_is_gone_is_neither_made_by_a_report_nor_forgotten_nor_counted(world: World) -> None:
    assert not last_reports.write("gone", reported((1, 1, 1)))
    last_reports.forget("gone", 1)
    last_reports.count_stale("gone")
    assert list(ServiceStatusRow.scan()) == []


def test_a_report_is_forgotten_and_a_stale_one_counted(world: World) -> None:
    instance, _ = accepted()
    last_reports.write(instance.id, reported((1, 1, 1)))
    last_reports.forget(instance.id, 1)
    last_reports.count_stale(instance.id)
    last_reports.count_stale(instance.id)
    row = ServiceStatusRow.get(instance.id)
    assert (row.status, row.stale_reports) == (ServiceStatus.UNKNOWN, 2)


def test_a_first_report_that_comes_after_its_server_was_switched_off_is_none(world: World) -> None:
    instance, _ = accepted()
    guests.bind(instance.id, 1, "key", "server", 1)
    last_reports.forget(instance.id, 1)
    assert not last_reports.write(instance.id, reported((1, 1, 1)))
    assert last_reports.read([instance.id])[instance.id].status == ServiceStatus.UNKNOWN
    assert last_reports.write(instance.id, reported((1, 2, 1))), "of its next life"


def test_what_another_generation_reports_is_not_forgotten_with_the_one_before(world: World) -> None:
    instance, _ = accepted()
    guests.bind(instance.id, 2, "key", "server", 1)
    last_reports.forget(instance.id, 2)
    assert last_reports.read([instance.id])[instance.id].order == (1, 0, 0)
