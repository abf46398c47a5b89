"""I44, broken on purpose, is told."""

from __future__ import annotations

from chalicelib import aws, objects
from chalicelib.domain.archives import State
from chalicelib.store import archives
from chalicelib.store.models import Archive, Backup
from simulator.template import BACKUPS_BUCKET, PREFIX
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import as_handler, instance, told_by


def backed_up(deployment: Deployment, **more: str) -> Backup:
    """A backup that is complete."""
    body = {"name": "b", "instance": instance(deployment).id, **more}
    deployment.do(lambda: deployment.tenant("POST", "/backups", {"backup": body}))
    deployment.settle()
    (row,) = Backup.scan()
    assert row.status == "COMPLETED", row.fault_message
    return row


def lose(deployment: Deployment, backup: Backup) -> None:
    """The table is back at a moment before."""
    dynamodb = deployment.region.dynamodb
    before = dynamodb.tables[f"{PREFIX}-backups"].snapshot()
    del before[backup.id]
    dynamodb.restore({f"{PREFIX}-backups": before})
    deployment.invariants.hub.restored_at = deployment.kernel.now


def lost_without_a_word(deployment: Deployment) -> None:
    lose(deployment, backed_up(deployment))


def lost_although_its_snapshot_is_there(deployment: Deployment) -> None:
    lose(deployment, backed_up(deployment, storage_driver="cinder"))


def removed_from_the_store(deployment: Deployment) -> None:
    backup = backed_up(deployment)
    lose(deployment, backup)
    deployment.invariants.hub.told_of_restore.append(f"backup {backup.id}")

    def clean() -> None:
        objects.remove(list(objects.page(backup.location).sizes))

    as_handler(deployment, "look_for_stray_objects", clean)


def pieces_removed_of_a_log_that_is_lost(deployment: Deployment) -> None:
    row = archives.new_archive(instance(deployment), "a-schedule")
    deployment.invariants.hub.lost["archives"] = {row.id: {"instance_id": row.instance_id}}
    key = f"{row.location}/1"

    def clean() -> None:
        aws.client("s3").put_object(Bucket=BACKUPS_BUCKET, Key=key, Body=b"sealed")
        objects.remove([key])

    as_handler(deployment, "look_for_stray_objects", clean)


def an_archive_for_nobody(deployment: Deployment) -> None:
    archives.new_archive(instance(deployment), "a-schedule").save()


test_a_broken_promise_is_told = told_by(
    "I44",
    lost_without_a_word,
    lost_although_its_snapshot_is_there,
    removed_from_the_store,
    pieces_removed_of_a_log_that_is_lost,
    an_archive_for_nobody,
)


def test_one_that_is_told_and_stays_in_the_store_holds(deployment: Deployment) -> None:
    backup = backed_up(deployment)
    lose(deployment, backup)
    deployment.invariants.hub.told_of_restore.append(f"backup {backup.id}")
    archive = archives.new_archive(instance(deployment), "a-schedule")
    archive.save()
    archive.update(actions=[Archive.state.set(State.ENDED)])
    restored = deployment.invariants.each["I44"]
    restored.check_healed()
    assert restored.exercised
    assert not restored.violations
