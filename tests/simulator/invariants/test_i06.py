"""I6, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.bus import keys
from chalicelib.conductor import data_keys
from chalicelib.parameters import BACKUP_KEYS
from chalicelib.store import archives
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, replied, told_by


def told_to_another(deployment: Deployment) -> None:
    body = f'{{"instances": [{{"id": "{deployment.instances()[0]["id"]}"}}]}}'.encode()
    replied(deployment, "GET", "/v1.0/tenant-2/instances", Reply(200, {}, body))


def told_by_a_filter(deployment: Deployment) -> None:
    instance_id = deployment.instances()[0]["id"]
    body = f'{{"backups": [{{"id": "b", "instance_id": "{instance_id}"}}]}}'.encode()
    path = f"/v1.0/tenant-2/backups?instance_id={instance_id}"
    replied(deployment, "GET", path, Reply(200, {}, body))


def a_key_that_opens_for_another(deployment: Deployment) -> None:
    """Sealed as before projects had keys: it tells nothing of whose it is."""
    row = archives.new_archive(instance(deployment), "s")
    row.sealed_key = keys.protect("log", row.id, b"key", BACKUP_KEYS)
    row.save()


test_a_broken_promise_is_told = told_by(
    "I6", told_to_another, told_by_a_filter, a_key_that_opens_for_another
)


def test_a_key_of_a_project_is_none_of_another(deployment: Deployment) -> None:
    row = archives.new_archive(instance(deployment), "s")
    row.sealed_key = data_keys.new_key(data_keys.owner_of(row))
    row.save()
    deployment.invariants.check_healed()
    assert not deployment.invariants.each["I6"].violations
