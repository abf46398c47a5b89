"""Steps of the flows of backups whose rows are not as they were."""

from __future__ import annotations

import pytest

from chalicelib.bus import queues
from chalicelib.store import operations
from chalicelib.store.models import Backup
from functions import create_backup, delete_backup
from functions.outcomes import Failed
from tests.functions.test_restoration_of_backups import asked_for, deleting, made, now
from tests.functions.test_restoration_of_backups import instance_id as instance_id  # a fixture

pytestmark = pytest.mark.usefixtures("world")


def test_an_increment_whose_parent_is_lost_is_not_made_of_everything(instance_id: str) -> None:
    """Nothing could be restored from it: it would still say what it builds on."""
    full = made(instance_id)
    _, operation = asked_for(instance_id, full)
    full.delete()
    outcome = create_backup.copy(operations.take_lease(operation.id, "copy"), "token")
    assert isinstance(outcome, Failed)
    assert f"Backup {full.id}, which it builds on, is not there" in outcome.reason


def test_what_builds_on_a_backup_is_found_whatever_the_clock_said(
    instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was put back between the two."""
    hints: list[str] = []
    monkeypatch.setattr(queues, "notify_task_manager", hints.append)
    full = made(instance_id)
    child = made(instance_id, full)
    child.update(actions=[Backup.created.set(full.created - 60)])
    operation = deleting(full)
    delete_backup.others(operations.take_lease(operation.id, "others"), None)
    assert hints == [now(child).operation_id]
