"""A delete that makes a last backup first: what it holds, what it leaves when that fails."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.api import final_backups
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.store import ending
from chalicelib.store.base import transact
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.instances import find_instance, get_instance
from chalicelib.store.models import Instance, Operation
from chalicelib.store.operations import get_operation
from tests.api.client import Answer, Api
from tests.api.conftest import Make
from tests.api.test_backups import end, live, shown, used
from tests.api.test_backups import offered as offered  # a fixture


def delete(api: Api, row: Instance, query: str = "?final_backup=true") -> Answer:
    return api.delete(f"/instances/{row.id}{query}")


def backup_of(row: Instance) -> str:
    return str((live(row).arguments or {})["backup"])


def events(api: Api, row: Instance) -> list[str]:
    told = api.get(f"/instances/{row.id}/events").body["events"]
    return [each["kind"] for each in reversed(told)]


def test_the_end_of_the_backup_begins_the_delete(api: Api, make: Make, hints: list[str]) -> None:
    row = make()
    answer = delete(api, row, "?final_backup=true&backup_name=the-last")
    assert answer.status == 202
    backup, operation = backup_of(row), live(row)
    assert hints == [operation.id]
    assert answer.headers["Location"].endswith(f"/operations/{operation.id}")
    told = shown(api, backup)
    assert (told["name"], told["parent_id"], told["status"]) == ("the-last", None, "NEW")
    assert get_instance(row.id).status == Status.BACKUP
    assert delete(api, row).headers["Location"] == answer.headers["Location"]
    end(row)
    delete_operation = live(row)
    assert (delete_operation.action, delete_operation.status) == ("delete_instance", "ACCEPTED")
    assert delete_operation.user_id == operation.user_id
    assert get_instance(row.id).status == Status.SHUTDOWN
    assert delete(api, row).status == 202
    end_operation(delete_operation, Ending(OperationStatus.SUCCEEDED))
    gone = find_instance(row.id)
    assert gone is not None
    assert gone.status == Status.DELETED
    assert shown(api, backup)["status"] == "COMPLETED"
    assert used(api) == 1


def test_of_two_that_ask_at_once_each_is_told_of_the_same_backup(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make()
    accept, first = final_backups._accept, list[Answer]()

    def slower(*asked: Any) -> Any:
        monkeypatch.undo()
        first.append(delete(api, row))
        return accept(*asked)

    monkeypatch.setattr(final_backups, "_accept", slower)
    second = delete(api, row, "?final_backup=true&backup_name=another")
    assert (first[0].status, second.status) == (202, 202)
    assert second.headers["Location"] == first[0].headers["Location"]
    assert used(api) == 1


def test_one_that_a_delete_overtakes_is_told_so(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make()
    accept = final_backups._accept

    def slower(*asked: Any) -> Any:
        monkeypatch.undo()
        assert delete(api, row, "").status == 202
        return accept(*asked)

    monkeypatch.setattr(final_backups, "_accept", slower)
    refused = delete(api, row)
    assert refused.status == 422
    assert "without a last backup" in refused.fault()


def test_one_that_is_being_deleted_already_has_no_last_backup(api: Api, make: Make) -> None:
    row = make()
    assert delete(api, row, "").status == 202
    for query in ("?final_backup=true", "?final_backup=true&dry_run=true"):
        refused = delete(api, row, query)
        assert refused.status == 422
        assert "without a last backup" in refused.body["unprocessableEntity"]["message"]
    assert delete(api, row, "").status == 202


def test_the_instance_stays_when_the_backup_fails(api: Api, make: Make) -> None:
    row = make()
    delete(api, row)
    backup = backup_of(row)
    end(row, "FAILED")
    left = get_instance(row.id)
    assert (left.status, left.operation_id, left.fault_message) == (Status.ACTIVE, None, "No.")
    assert shown(api, backup)["status"] == "FAILED"
    assert "delete_instance.accepted" not in events(api, row)


def test_it_is_called_back_like_every_backup(api: Api, make: Make) -> None:
    row = make()
    delete(api, row)
    operation = live(row)
    path = f"/instances/{row.id}/operations/{operation.id}"
    assert api.delete(path).status == 202
    called = get_operation(operation.id)
    assert called is not None
    assert called.cancelled
    end_operation(called, Ending(OperationStatus.CANCELLED, "Called back."))
    assert get_instance(row.id).status == Status.ACTIVE


def test_one_that_goes_back_is_not_the_one_that_is_asked_for(api: Api, make: Make) -> None:
    """Else who asks again would wait for a delete that nobody makes."""
    row = make()
    delete(api, row)
    assert api.delete(f"/instances/{row.id}/operations/{live(row).id}").status == 202
    answer = delete(api, row)
    assert answer.status == 422
    assert "not currently available" in answer.fault()


def test_one_that_is_called_back_at_its_end_is_made_and_deletes_nothing(
    api: Api, make: Make
) -> None:
    """Its last step has looked before the call, and ends it after."""
    row = make()
    delete(api, row)
    backup, operation = backup_of(row), live(row)
    made = {"checksum": "ab" * 32, "size": 1, "data_size": 1, "engine_version": "10.11.6"}
    operation.update(actions=[Operation.resources["backup"].set(made)])
    assert api.delete(f"/instances/{row.id}/operations/{operation.id}").status == 202
    assert not operation.cancelled, "as the step has read it"
    assert end_operation(operation, Ending(OperationStatus.SUCCEEDED)) is None
    left = get_instance(row.id)
    assert (left.status, left.operation_id) == (Status.ACTIVE, None)
    assert shown(api, backup)["status"] == "COMPLETED"
    assert "delete_instance.accepted" not in events(api, row)


def test_a_call_between_the_look_and_the_end_is_not_overlooked(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make()
    delete(api, row)
    operation = live(row)
    made = {"checksum": "ab" * 32, "size": 1, "data_size": 1, "engine_version": "10.11.6"}
    operation.update(actions=[Operation.resources["backup"].set(made)])
    calls = [f"/instances/{row.id}/operations/{operation.id}"]

    def called_back_before(*rest: Any) -> None:
        while calls:
            assert api.delete(calls.pop()).status == 202
        transact(*rest)

    monkeypatch.setattr(ending, "transact", called_back_before)
    assert end_operation(operation, Ending(OperationStatus.SUCCEEDED)) is None
    assert get_instance(row.id).status == Status.ACTIVE


def test_who_asks_while_a_delete_without_one_waits_is_refused(api: Api, make: Make) -> None:
    row = make()
    delete(api, row)
    delete(api, row, "")
    queued = get_instance(row.id).next_operation_id
    assert delete(api, row).status == 422, "that one has called the backup back"
    assert delete(api, row, "").headers["Location"].endswith(f"/operations/{queued}")


def test_a_delete_without_one_calls_it_back_and_goes_on_alone(api: Api, make: Make) -> None:
    row = make()
    delete(api, row)
    operation = live(row)
    assert delete(api, row, "").status == 202
    called, queued = get_operation(operation.id), get_instance(row.id).next_operation_id
    assert called is not None
    assert called.cancelled
    assert queued is not None
    end_operation(called, Ending(OperationStatus.CANCELLED, "Called back.", undone=True))
    assert live(row).id == queued
    assert get_instance(row.id).status == Status.SHUTDOWN


def test_one_that_comes_while_the_backup_ends_is_the_only_delete(api: Api, make: Make) -> None:
    row = make()
    delete(api, row)
    operation = live(row)
    delete(api, row, "")
    queued = get_instance(row.id).next_operation_id
    made = {"checksum": "ab" * 32, "size": 1, "data_size": 1, "engine_version": "10.11.6"}
    operation.update(actions=[Operation.resources["backup"].set(made)])
    end_operation(operation, Ending(OperationStatus.SUCCEEDED))
    assert live(row).id == queued
    assert events(api, row).count("delete_instance.accepted") == 1


def test_what_is_refused_holds_nothing(api: Api, admin: Api, make: Make) -> None:
    row = make()
    assert delete(api, row, "?backup_name=b").status == 400
    assert delete(api, row, "?final_backup=maybe").status == 400
    assert delete(api, row, f"?final_backup=true&backup_name={'x' * 300}").status == 400
    protected = make(protected=True)
    assert delete(api, protected).status == 409
    stopped = make(status=Status.STOPPED)
    assert delete(api, stopped).status == 422
    limit: dict[str, Any] = {"quotas": {"backups": 0}}
    assert admin.put(f"/mgmt/quotas/{api.project}", limit).status == 200
    assert delete(api, row).status == 413
    for each in (row, protected, stopped):
        assert get_instance(each.id).operation_id is None
    assert used(api) == 0


def test_it_is_not_protected_any_more_while_its_last_backup_is_made(api: Api, make: Make) -> None:
    row = make()
    delete(api, row)
    body = {"instance": {"deletion_protection": True}}
    assert api.put(f"/instances/{row.id}", body).status == 409
    assert not get_instance(row.id).protected


def test_it_can_be_tried_before(api: Api, make: Make) -> None:
    row = make()
    plan = delete(api, row, "?final_backup=true&dry_run=true").body["dry_run"]
    assert plan["would_be_accepted"]
    assert plan["action"] == "create_backup"
    assert plan["changes"]["final"]
    assert get_instance(row.id).operation_id is None
