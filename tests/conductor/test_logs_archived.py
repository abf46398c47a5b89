"""What a guest tells of its archive is believed as far as our own clock allows."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from pynamodb.expressions.update import Action

from chalicelib import aws
from chalicelib.bus.contract.archiving import ArchiveState, Archiving
from chalicelib.conductor import logs_archived
from chalicelib.domain.archives import State
from chalicelib.settings import settings
from chalicelib.status import Status
from chalicelib.store import archives, instances
from chalicelib.store.models import Archive, Instance
from tests.support.bare import World
from tests.support.rows import new_instance

SUM = "1" * 64


@pytest.fixture
def row(plain_world: World) -> Archive:
    made = archives.new_archive(new_instance(), "schedule-1")
    made.save()
    return made


def tell(row: Archive, seq: int, ahead_seconds: float, **changes: Any) -> Archive:
    """Have its guest tell of an archive whose clock is so far ahead; the row as it is then."""
    until_ms = int((aws.clock() + ahead_seconds) * 1000)
    said = Archiving(
        row.id, ArchiveState.RUNS, number=5, sha256=SUM, from_ms=until_ms, until_ms=until_ms
    )
    logs_archived.tell({row.id: row}, changes.get("of", row.instance_id), (1, 1, seq), said)
    found = archives.find_archive(row.id)
    assert found is not None
    return found


def test_no_moment_is_told_that_is_still_to_come(row: Archive) -> None:
    now = tell(row, 1, 600.0)
    assert now.state == State.RUNS
    assert now.until_ms == int(aws.clock() * 1000)
    assert now.from_ms is not None
    assert now.from_ms <= now.until_ms


def test_a_clock_that_is_far_ahead_ends_its_archive_where_it_was(row: Archive) -> None:
    before = tell(row, 1, -10.0)
    after = tell(before, 2, 3 * 365 * 86400.0)
    assert (after.state, after.reason) == (State.ENDED, logs_archived.AHEAD)
    assert after.until_ms == before.until_ms


def test_an_agent_that_tells_no_position_takes_none_away(row: Archive) -> None:
    """One of a release before: all up to what was told is there still."""
    said = Archiving(row.id, ArchiveState.RUNS, 5, SUM, until_ms=1000, until_position="0-1-7")
    found: Archive | None = row
    for seq, each in enumerate((said, replace(said, number=6, until_position="")), 1):
        assert found is not None
        logs_archived.tell({row.id: found}, row.instance_id, (1, 1, seq), each)
        found = archives.find_archive(row.id)
    assert found is not None
    assert (found.number, found.until_position) == (6, "0-1-7")


def test_a_guest_tells_nothing_of_the_archive_of_another_instance(row: Archive) -> None:
    assert tell(row, 1, 0.0, of="another").state == State.NEW


def test_that_the_log_waits_for_a_start_is_told_again_behind_a_start(plain_world: World) -> None:
    """One that was under way when the log was asked for clears what was told since."""
    instance = new_instance(status=Status.ACTIVE)
    instance.save()
    row = archives.new_archive(instance, "schedule-1")
    row.save()
    instance.update([Instance.archive_id.set(row.id)])

    def told(seq: int) -> bool:
        said = Archiving(row.id, ArchiveState.RESTART)
        found = archives.find_archives([row.id])
        logs_archived.tell(found, instance.id, (1, 1, seq), said)
        archives.present(instances.get_instance(instance.id))
        return bool(instances.get_instance(instance.id).log_waits)

    assert told(1)
    aws.sleep(10)
    ended: list[Action] = [Instance.log_waits.remove(), Instance.updated.set(aws.clock())]
    instance.update(ended)
    assert not told(2), "it may be what it said before that start"
    aws.sleep(archives.LEAST_SECONDS)
    assert told(3)


@pytest.mark.parametrize(("chosen", "told"), [(0, 0), (1, 64 * 1024), (10**6, 10**6)])
def test_a_guest_is_told_how_fast_it_may_send_its_log(
    row: Archive, monkeypatch: pytest.MonkeyPatch, chosen: int, told: int
) -> None:
    known = replace(settings(), backup_bytes_per_second=chosen)
    monkeypatch.setattr(logs_archived, "settings", lambda: known)
    said = logs_archived.as_told(row)
    assert said is not None
    assert said.bandwidth == told
