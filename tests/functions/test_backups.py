"""Steps of the flows of backups whose rows are not as they were."""

from __future__ import annotations

import pytest

from chalicelib import aws, objects
from chalicelib.bus import queues
from chalicelib.store import operations
from chalicelib.store.models import Backup
from functions import create_backup, delete_backup
from functions.outcomes import Failed, Wait
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


def test_a_backup_of_terabytes_is_removed_within_its_time(
    instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever removes it goes on at once, however long that has taken; not so who is refused."""
    monkeypatch.setattr(objects, "page", lambda _: objects.Page({"a": 1}, None, {}))
    monkeypatch.setattr(objects, "remove", lambda _: None)
    leased = operations.take_lease(deleting(made(instance_id)).id, "remove")
    aws.sleep(400)
    assert isinstance(outcome := delete_backup.remove(leased, None), Wait)
    assert outcome.seconds == 1
