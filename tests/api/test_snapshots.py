"""Backups that are snapshots of a volume, over the API: what they are of, and what they are not."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.operations import OperationStatus
from chalicelib.store import backups
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.instances import get_instance
from chalicelib.store.models import Instance, Operation
from tests.api.client import Answer, Api
from tests.api.conftest import Make, operations
from tests.api.test_backups import ask, live, made, restore, shown, used
from tests.api.test_backups import end as ended

VOLUME = "volume-of-the-instance"
SNAPSHOT = {"snapshot_id": "snapshot-1", "snapshot_gib": 3}


@pytest.fixture
def row(make: Make) -> Instance:
    return make(resources={"volume_id": VOLUME}, volume_size=3)


def snapshot(api: Api, row: Instance, **more: Any) -> Answer:
    return ask(api, row, storage_driver="cinder", **more)


def taken(api: Api, row: Instance) -> str:
    """The id of one that is complete."""
    answer = snapshot(api, row)
    assert answer.status == 202, answer.body
    operation = live(row)
    operation.update(actions=[Operation.resources["backup"].set(SNAPSHOT)])
    ended_whole(row)
    return str(answer.body["backup"]["id"])


def ended_whole(row: Instance) -> None:
    """Let the operation end as its step has told."""
    end_operation(live(row), Ending(OperationStatus.SUCCEEDED))


def begun_with(api: Api, backup: str, size: int, **more: Any) -> Answer:
    return restore(api, backup, volume={"size": size}, **more)


def test_a_snapshot_is_a_backup_of_the_size_of_its_volume(api: Api, row: Instance) -> None:
    answer = snapshot(api, row)
    assert answer.status == 202
    told = answer.body["backup"]
    assert (told["status"], told["storage_driver"], told["locationRef"]) == ("NEW", "cinder", None)
    assert get_instance(row.id).status == "BACKUP"
    assert live(row).action == "create_snapshot"
    live(row).update(actions=[Operation.resources["backup"].set(SNAPSHOT)])
    ended_whole(row)
    found = shown(api, told["id"])
    assert {
        "status": "COMPLETED",
        "size": 3.0,
        "locationRef": "cinder://snapshot-1",
        "stored_bytes": None,
        "checksum": None,
        "storage_driver": "cinder",
        "swift_container": None,
    }.items() <= found.items()
    assert get_instance(row.id).status == "ACTIVE"
    assert used(api) == 1


def test_one_that_fails_says_why(api: Api, row: Instance) -> None:
    backup = snapshot(api, row).body["backup"]["id"]
    ended(row, "FAILED")
    found = shown(api, backup)
    assert (found["status"], found["fault"]["message"]) == ("FAILED", "No.")


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"incremental": 1}, 400, "builds on none"),
        ({"parent_id": "whatever"}, 400, "builds on none"),
        ({"swift_container": "mine"}, 400, "storage driver swift"),
    ],
)
def test_a_snapshot_is_full_and_lies_in_no_container(
    api: Api, row: Instance, change: dict[str, Any], status: int, said: str
) -> None:
    answer = snapshot(api, row, **change)
    assert (answer.status, said in answer.fault()) == (status, True), answer.body
    assert (used(api), operations(row.id)) == (0, [])


def test_an_engine_that_answers_from_memory_has_none(api: Api, make: Make) -> None:
    row = make(manager="redis", datastore_name="redis", resources={"volume_id": VOLUME})
    answer = snapshot(api, row)
    assert (answer.status, "in its memory" in answer.fault()) == (501, True)


def test_an_instance_without_a_volume_has_none(api: Api, make: Make) -> None:
    answer = snapshot(api, make(resources={}))
    assert (answer.status, "has no volume" in answer.fault()) == (422, True)


def test_nothing_builds_on_a_snapshot(api: Api, row: Instance) -> None:
    """An increment goes on from the newest copy, behind the snapshot, or becomes a full one."""
    first = taken(api, row)
    answer = ask(api, row, parent_id=first)
    assert (answer.status, "on which nothing builds" in answer.fault()) == (400, True)
    full = made(api, row, incremental=1)
    assert shown(api, full)["parent_id"] is None
    taken(api, row)
    assert shown(api, made(api, row, incremental=1))["parent_id"] == full


def test_a_restore_needs_a_volume_of_its_size_and_is_a_flow_of_its_own(
    api: Api, row: Instance
) -> None:
    backup = taken(api, row)
    answer = begun_with(api, backup, 2)
    assert (answer.status, "Backup size: 3 GBs" in answer.fault()) == (403, True), answer.body
    answer = begun_with(api, backup, 4)
    assert answer.status == 200, answer.body
    (operation,) = operations(answer.body["instance"]["id"])
    assert (operation.action, operation.arguments) == ("restore_snapshot", {"backup": backup})
    refused = api.delete(f"/backups/{backup}")  # Cinder makes a volume of it
    assert (refused.status, "is being made of it" in refused.fault()) == (409, True)


def test_a_snapshot_is_not_tried_out(api: Api, row: Instance) -> None:
    answer = api.post(f"/backups/{taken(api, row)}/action", {"verify": {}})
    assert (answer.status, "restore it to a new instance" in answer.fault()) == (501, True)


def test_a_snapshot_has_no_place_in_an_object_store(api: Api, row: Instance) -> None:
    found = backups.find_backup(taken(api, row))
    assert found is not None
    assert (found.is_snapshot, found.sealed_key, found.container_url) == (True, None, None)
