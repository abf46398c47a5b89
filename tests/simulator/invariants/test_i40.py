"""I40, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.bus.contract import CREATE_BACKUP
from chalicelib.store import ending_backups, making_backups
from chalicelib.store.models import Backup
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import as_handler, instance, told_by


def called_sound_by_nobody(deployment: Deployment) -> None:
    row = making_backups.new_backup(instance(deployment), CREATE_BACKUP.name)
    as_handler(deployment, "taskmanager", row.save)
    found = {"verdict": "passed"}
    actions = ending_backups.verdict(found, 1.0)
    as_handler(deployment, "taskmanager", lambda: Backup(row.id).update(actions=actions))


def a_trial_that_stays(deployment: Deployment) -> None:
    guest = next(iter(deployment.fleet))
    assert guest.volume is not None
    guest.volume.trial = {"b": b""}


def verdict(deployment: Deployment, **found: str) -> None:
    row = making_backups.new_backup(instance(deployment), CREATE_BACKUP.name)
    as_handler(deployment, "taskmanager", row.save)
    actions = ending_backups.verdict(found, 1.0)
    as_handler(deployment, "taskmanager", lambda: Backup(row.id).update(actions=actions))


def damaged_for_no_reason(deployment: Deployment) -> None:
    verdict(deployment, verdict="failed")


test_a_broken_promise_is_told = told_by(
    "I40", called_sound_by_nobody, a_trial_that_stays, damaged_for_no_reason
)


def test_a_reason_is_asked_of_what_is_damaged_alone(deployment: Deployment) -> None:
    verdict(deployment, verdict="failed", reason="a page is damaged")
    texts = [each.text for each in deployment.invariants.each["I40"].violations]
    assert not any("is called failed" in each for each in texts), texts
