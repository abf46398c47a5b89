"""DELETE and the actions: statuses, races, force, operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import accepting
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.events import Asked
from chalicelib.store.models import Instance, Operation, ServiceStatusRow
from chalicelib.store.operations import new_operation
from tests.api.client import Api
from tests.api.conftest import Make, operations


def live_create(row: Instance) -> Operation:
    """Give the row the create operation that a BUILD has."""
    made = new_operation(aws.new_id(), row.id, row.tenant_id, "create_instance", timeout=600)
    made.save()
    row.update([Instance.operation_id.set(made.id)])
    return made


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.ERROR])
def test_a_delete_is_one_operation_however_often_it_is_asked(
    api: Api, make: Make, hints: list[str], status: Status
) -> None:
    row = make(status)
    assert [api.delete(f"/instances/{row.id}").status for _ in range(3)] == [202] * 3
    (operation,) = operations(row.id)
    assert (operation.action, operation.status) == ("delete_instance", "ACCEPTED")
    assert hints == [operation.id]
    assert api.get(f"/instances/{row.id}").body["instance"]["status"] == "SHUTDOWN"


def test_a_delete_in_build_is_422(api: Api, make: Make, hints: list[str]) -> None:
    row = make(Status.BUILD, "new")
    answer = api.delete(f"/instances/{row.id}")
    assert answer.status == 422
    assert "(instance status was BUILD)" in answer.fault()
    assert (operations(row.id), hints) == ([], [])


def racing(monkeypatch: pytest.MonkeyPatch, winner: Callable[[Instance], Any]) -> None:
    """Let somebody else be faster, once, between our read and our write."""
    real = accepting.accept
    won: list[bool] = []

    def accept(row: Instance, operation: Operation, **chosen: Any) -> bool:
        if not won:
            won.append(True)
            winner(Instance.get(row.id))
        return real(row, operation, **chosen)

    monkeypatch.setattr(accepting, "accept", accept)


def test_the_loser_of_two_deletes_accepts_the_winners(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make()
    real = accepting.accept

    def other_delete(fresh: Instance) -> None:
        made = new_operation(aws.new_id(), row.id, row.tenant_id, "delete_instance", timeout=60)
        assert real(fresh, made)

    racing(monkeypatch, other_delete)
    assert api.delete(f"/instances/{row.id}").status == 202
    assert len(operations(row.id)) == 1


def test_the_loser_to_a_finished_delete_gets_404(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make()
    racing(monkeypatch, lambda fresh: fresh.update([Instance.status.set(Status.DELETED)]))
    assert api.delete(f"/instances/{row.id}").status == 404


def test_whoever_loses_to_a_status_change_looks_again(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make()
    racing(monkeypatch, lambda fresh: fresh.update([Instance.status.set(Status.ERROR)]))
    assert api.delete(f"/instances/{row.id}").status == 202
    assert len(operations(row.id)) == 1


def test_endless_races_are_503(api: Api, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    row = make()
    monkeypatch.setattr(accepting, "accept", lambda *_, **__: False)
    assert api.delete(f"/instances/{row.id}").status == 503


def act(api: Api, row: Instance, body: Any) -> int:
    return api.post(f"/instances/{row.id}/action", body).status


def test_reset_then_delete_in_build_queues_the_delete(
    api: Api, admin: Api, make: Make, hints: list[str]
) -> None:
    row = make(Status.BUILD, "new")
    create = live_create(row)
    assert act(admin, row, {"reset_status": {}}) == 202
    assert api.get(f"/instances/{row.id}").body["instance"]["status"] == "ERROR"
    create.refresh()
    assert create.cancelled
    assert [api.delete(f"/instances/{row.id}").status for _ in range(2)] == [202, 202]
    row.refresh()
    queued = Operation.get(row.next_operation_id)
    assert (row.operation_id, queued.status) == (create.id, "QUEUED")
    assert hints == []


def status_of(api: Api, row: Instance) -> str:
    return str(api.get(f"/instances/{row.id}").body["instance"]["status"])


def queued_behind_a_create(api: Api, admin: Api, make: Make) -> Instance:
    row = make(Status.BUILD, "new")
    live_create(row)
    assert act(admin, row, {"reset_status": {}}) == 202
    assert api.delete(f"/instances/{row.id}").status == 202
    return row


def test_a_second_reset_and_delete_find_the_queued_one_and_show_it(
    api: Api, admin: Api, make: Make, hints: list[str]
) -> None:
    row = queued_behind_a_create(api, admin, make)
    assert act(admin, row, {"reset_status": {}}) == 202
    assert status_of(api, row) == "ERROR"
    assert [api.delete(f"/instances/{row.id}").status for _ in range(2)] == [202, 202]
    assert status_of(api, row) == "SHUTDOWN"
    assert len(operations(row.id)) == 2
    assert hints == []


def test_a_second_forced_delete_changes_nothing(api: Api, admin: Api, make: Make) -> None:
    row = queued_behind_a_create(api, admin, make)
    before = Instance.get(row.id).attribute_values
    assert [act(api, row, {"force_delete": {}}) for _ in range(2)] == [202, 202]
    assert Instance.get(row.id).attribute_values == before
    assert len(operations(row.id)) == 2


def test_a_forced_delete_after_a_reset_shows_the_queued_delete(
    api: Api, admin: Api, make: Make
) -> None:
    row = queued_behind_a_create(api, admin, make)
    assert act(admin, row, {"reset_status": {}}) == 202
    assert act(api, row, {"force_delete": {}}) == 202
    assert status_of(api, row) == "SHUTDOWN"
    assert len(operations(row.id)) == 2


def test_a_delete_that_finds_a_queued_one_looks_again_when_it_starts_meanwhile(
    api: Api, admin: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = queued_behind_a_create(api, admin, make)
    assert act(admin, row, {"reset_status": {}}) == 202
    real = accepting.accept_queued_delete

    def accept(seen: Instance, asked: Asked, _: Any = None) -> bool:
        monkeypatch.setattr(accepting, "accept_queued_delete", real)
        create = Operation.get(seen.operation_id)
        failed = Ending(OperationStatus.CANCELLED, reason="cancelled")
        assert end_operation(create, failed) == seen.next_operation_id
        return real(seen, asked)

    monkeypatch.setattr(accepting, "accept_queued_delete", accept)
    assert api.delete(f"/instances/{row.id}").status == 202
    assert status_of(api, row) == "SHUTDOWN"
    row.refresh()
    assert row.next_operation_id is None
    assert len(operations(row.id)) == 2


def test_reset_is_for_administrators(api: Api, admin: Api, make: Make) -> None:
    row = make()
    assert act(api, row, {"reset_status": {}}) == 403
    assert act(admin, row, {"reset_status": {}}) == 202


@pytest.mark.parametrize("body", [{"force_delete": {}}, {"reset_status": {"force_delete": True}}])
def test_owners_may_force_a_delete(api: Api, make: Make, body: Any) -> None:
    row = make(Status.BUILD, "new")
    create = live_create(row)
    assert act(api, row, body) == 202
    create.refresh()
    assert create.cancelled == "The deletion was forced."
    assert api.delete(f"/instances/{row.id}").status == 202
    assert len(operations(row.id)) == 2


def test_a_restart_is_an_operation(api: Api, make: Make, hints: list[str]) -> None:
    row = make()
    assert act(api, row, {"restart": {}}) == 202
    (operation,) = operations(row.id)
    assert (operation.action, operation.status) == ("restart_instance", "ACCEPTED")
    assert hints == [operation.id]
    stored = Instance.get(row.id)
    assert (stored.status, stored.operation_id) == (Status.REBOOT, operation.id)
    assert act(api, row, {"restart": None}) == 422, "as Trove: the status is REBOOT"
    assert act(api, make(Status.ERROR), {"restart": {}}) == 422


def test_a_restart_of_a_guest_that_is_not_heard_is_refused(api: Api, make: Make) -> None:
    row = make()
    last = ServiceStatusRow.updated.set(aws.clock() - settings().heartbeat_expiry_seconds)
    ServiceStatusRow(row.id).update(actions=[last])
    assert act(api, row, {"restart": {}}) == 422
    assert operations(row.id) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"dance": {}}, 400),
        ({"restart": {}, "resize": {}}, 400),
        ({"restart": 5}, 400),
        ([], 400),
        ({"resize": {"flavorRef": "2"}}, 400),
        ({"promote_to_replica_source": {}}, 501),
        ({"eject_replica_source": {}}, 501),
    ],
)
def test_other_actions_are_refused(api: Api, make: Make, body: Any, status: int) -> None:
    assert act(api, make(), body) == status
