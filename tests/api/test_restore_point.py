"""From which archive a moment of an instance is restored."""

from __future__ import annotations

import pytest

from chalicelib.api import restore_point
from chalicelib.api.instance_body import RestorePoint
from chalicelib.domain.archives import Moment, Position
from chalicelib.errors import BadRequest
from chalicelib.status import BackupStatus
from chalicelib.store import archives, making_backups
from tests.support.bare import World
from tests.support.rows import TENANT, new_instance


def test_a_moment_is_found_behind_however_many_archives_that_came_to_nothing(
    plain_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_LISTED", 2)
    instance = new_instance()
    instance.save()
    good = archives.new_archive(instance, "schedule-1")
    good.until_ms = 2000
    good.save()
    base = making_backups.new_backup(instance, "base")
    base.status, base.archive_id, base.reached_ms = BackupStatus.COMPLETED, good.id, 1000
    base.archive_number, base.log_position = 0, "1:0/1"
    base.save()
    for _ in range(3):
        plain_world.run(600.0)
        archives.new_archive(instance, "schedule-1").save()
    found = restore_point._of_instance(instance.id, TENANT, Moment(2500))
    assert found.log is not None
    assert (found.backup.id, found.log.archive) == (base.id, good.id)
    assert found.log.target_ms == 1999, "MariaDB's log has whole seconds"
    with pytest.raises(BadRequest, match="Possible is"):
        restore_point._of_instance(instance.id, TENANT, Moment(2999))


@pytest.mark.parametrize("position", ["0-1-5", "00-1-05"])
def test_a_position_that_a_backup_has_is_that_backup(plain_world: World, position: str) -> None:
    """Of its log nothing is replayed: in what is behind it that transaction is not found."""
    instance = new_instance()
    instance.save()
    archive = archives.new_archive(instance, "schedule-1")
    archive.until_ms, archive.until_position, archive.number = 2000, "0-1-9", 3
    archive.sealed_key = "sealed"
    archive.save()
    base = making_backups.new_backup(instance, "base")
    base.status, base.archive_id, base.reached_ms = BackupStatus.COMPLETED, archive.id, 1000
    base.archive_number, base.log_position = 1, "binlog.000001:500"
    base.reached_position = "0-1-5"
    base.save()
    found = restore_point._of_instance(instance.id, TENANT, Position(position))
    assert (found.backup.id, found.log) == (base.id, None)
    with pytest.raises(BadRequest, match="no global transaction id"):
        restore_point._of_instance(instance.id, TENANT, Position("0/3000060"))
    behind = restore_point._of_instance(instance.id, TENANT, Position("0-1-06")).log
    assert behind is not None
    assert (behind.target_position, behind.target_ms, behind.number) == ("0-1-6", 2000, 3)


def test_a_position_is_taken_as_a_client_prints_it() -> None:
    asked = RestorePoint(instance="i", position=" 0-1-5\n")
    assert restore_point._goal(asked) == Position("0-1-5")
