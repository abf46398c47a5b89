"""Rows of archives: told of by heartbeats in their order, and written for a reason only."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import aws
from chalicelib.domain.archives import State
from chalicelib.domain.flows import MIGRATE, REBOOT, RESIZE_FLAVOR, RESTART, START, STOP, Flow
from chalicelib.domain.operations import OperationStatus
from chalicelib.store import accepting, archives, instances
from chalicelib.store.archives import Order, Told
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Archive
from chalicelib.store.operations import operation_of
from chalicelib.store.subjects import history_ends
from tests.support.bare import World
from tests.support.rows import WHO, new_instance

ONE, OTHER = "1" * 64, "2" * 64
START_MS = 1_795_728_000_000


@pytest.fixture
def row(plain_world: World) -> Archive:
    """An archive whose guest has told of five pieces."""
    made = archives.new_archive(new_instance(), "schedule-1")
    made.save()
    archives.tell(made, (1, 1, 1), told())
    plain_world.log.clear()
    return now(made)


def told(**changes: Any) -> Told:
    said: dict[str, Any] = {
        "state": State.RUNS,
        "broken": False,
        "number": 5,
        "sha256": ONE,
        "from_ms": START_MS,
        "until_ms": START_MS + 60_000,
        "until_position": "0-1-5",
        "waiting": 0,
        "reason": "",
    }
    return Told(**(said | changes))


def now(row: Archive) -> Archive:
    found = archives.find_archive(row.id)
    assert found is not None
    return found


def head(row: Archive) -> tuple[Any, ...]:
    known = now(row)
    return known.state, known.number, known.sha256, known.until_ms


def test_a_database_that_does_not_run_is_written_once_and_leaves_the_head(
    row: Archive, plain_world: World
) -> None:
    silent = told(state=State.WAITS, number=0, sha256=None, from_ms=0, until_ms=0, reason="down")
    before = head(row)
    for seq in range(2, 12):
        archives.tell(now(row), (1, 1, seq), silent)
    assert head(row) == (State.WAITS, *before[1:])
    assert plain_world.log.count("dynamodb.UpdateItem") == 1


@pytest.mark.parametrize("order", [(0, 9, 9), (1, 0, 9), (1, 1, 0), (1, 1, 1)])
def test_what_is_told_late_changes_nothing(row: Archive, order: Order) -> None:
    before = head(row)
    archives.tell(row, order, told(number=9, sha256=OTHER, until_ms=START_MS + 90_000))
    assert head(row) == before


@pytest.mark.parametrize("order", [(2, 0, 0), (1, 2, 0), (1, 1, 2)])
def test_what_is_told_later_moves_the_head(row: Archive, order: Order) -> None:
    archives.tell(row, order, told(number=6, sha256=OTHER, until_ms=START_MS))
    assert head(row) == (State.RUNS, 6, OTHER, START_MS + 60_000), "the moment stays"


@pytest.mark.parametrize("less", [{"number": 4}, {"sha256": OTHER}, {"number": 0, "sha256": None}])
def test_a_head_that_goes_back_ends_the_archive_where_it_was(
    row: Archive, less: dict[str, Any]
) -> None:
    before = head(row)
    archives.tell(row, (1, 1, 2), told(**less, reason="later", until_ms=START_MS + 90_000))
    assert head(row) == (State.ENDED, *before[1:])
    assert now(row).reason == archives.BACKWARDS
    archives.tell(now(row), (1, 1, 3), told(number=7))
    assert head(row) == (State.ENDED, *before[1:]), "it has ended"


def test_a_later_moment_alone_is_written_once_a_minute(row: Archive) -> None:
    archives.tell(row, (1, 1, 2), told(until_ms=START_MS + 119_999))
    assert now(row).until_ms == START_MS + 60_000
    archives.tell(row, (1, 1, 3), told(until_ms=START_MS + 120_000))
    assert now(row).until_ms == START_MS + 120_000


def test_a_log_that_breaks_ends_its_archive_at_the_head_that_it_tells(row: Archive) -> None:
    archives.tell(row, (1, 1, 2), told(broken=True, number=6, sha256=OTHER, reason="purged"))
    assert head(row)[:3] == (State.ENDED, 6, OTHER)
    assert now(row).reason == "purged"


def test_history_hides_no_archive_behind_it(
    row: Archive, plain_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a log that breaks again and again the newest may all have ended without a piece."""
    monkeypatch.setattr(archives, "MOST_LISTED", 2)
    instance = new_instance(id=row.instance_id)
    for _ in range(3):
        plain_world.run(1.0)
        ended = archives.new_archive(instance, "schedule-1")
        ended.expires = history_ends(plain_world.now)
        ended.save()
    assert [each.id for each in archives.of_instance(row.instance_id)] == [row.id]


def test_an_archive_that_has_ended_is_followed_by_another_where_it_is_wanted(row: Archive) -> None:
    archives.tell(row, (1, 1, 2), told(broken=True, reason="purged"))
    instance = new_instance(id=row.instance_id, archive_id=row.id)
    instance.save()
    aws.sleep(archives.LEAST_SECONDS - 1)
    soon = archives.present(instance)
    assert soon is not None
    assert soon.id == row.id, "one that breaks at once does not make many"
    aws.sleep(1)
    another = archives.present(instance)
    assert another is not None
    assert another.id != row.id
    assert instances.get_instance(instance.id).archive_id == another.id
    late = archives.present(instance)  # as it was read before
    assert now(row).expires is None, "pieces of it are there"
    assert late is not None
    assert late.id == row.id, "nobody wants it any more, and nothing follows on it"
    assert instances.get_instance(instance.id).archive_id == another.id


def test_one_that_has_ended_without_a_piece_is_forgotten_when_another_follows(
    plain_world: World,
) -> None:
    instance = new_instance()
    empty = archives.new_archive(instance, "schedule-1")
    empty.state = State.ENDED
    empty.save()
    instance.archive_id = empty.id
    instance.save()
    aws.sleep(archives.LEAST_SECONDS)
    another = archives.present(instance)
    assert another is not None
    assert another.id != empty.id
    assert now(empty).expires == history_ends(plain_world.now)


@pytest.mark.parametrize("flow", [RESTART, STOP, START, REBOOT, RESIZE_FLAVOR, MIGRATE])
def test_a_log_waits_for_no_start_behind_one(flow: Flow, plain_world: World) -> None:
    """Its engine keeps the log that is wanted since."""
    instance = new_instance(status=min(flow.sources), log_waits=True)
    instance.save()
    to = {"id": "2", "ram": 1024, "vcpus": 1}
    operation = operation_of(instance, flow, arguments={"flavor": to}, asked=WHO)
    assert accepting.accept(instance, operation)
    end_operation(operation, Ending(OperationStatus.SUCCEEDED))
    assert not instances.get_instance(instance.id).log_waits
