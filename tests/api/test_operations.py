"""Operations of an instance: their steps done, running and to come, page by page."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import aws
from chalicelib.domain.flows import CREATE, DELETE, FLOWS, FLOWS_OF
from chalicelib.domain.operations import SubjectKind
from chalicelib.lifecycle import Status
from chalicelib.store import subjects
from chalicelib.store.models import Instance, Operation
from chalicelib.store.operations import new_operation, take_lease
from tests.api.client import Answer, Api
from tests.api.conftest import Make
from tests.api.test_delete import live_create


def test_operations_are_shown_newest_first_with_their_steps(api: Api, make: Make) -> None:
    row = make()
    create = live_create(row)
    create.update(
        [
            Operation.created.set(1_000.0),
            Operation.started["server"].set(1_002.5),
            Operation.started["volume"].set(1_001.0),
            Operation.ended["volume"].set(1_001.25),
            Operation.notes["server"].set("waiting for ACTIVE"),
            Operation.sealed_args.set("1.sealed"),
        ]
    )
    newer = new_operation(aws.new_id(), row.id, row.tenant_id, "delete_instance", timeout=60)
    newer.save()
    answer = api.get(f"/instances/{row.id}/operations")
    first, second = answer.body["operations"]
    assert first["id"] == newer.id
    assert first["steps"] == []
    assert second["created"] == "1970-01-01T00:16:40.000Z"
    assert second["steps"] == [
        {
            "name": "volume",
            "started": "1970-01-01T00:16:41.000Z",
            "ended": "1970-01-01T00:16:41.250Z",
            "detail": None,
        },
        {
            "name": "server",
            "started": "1970-01-01T00:16:42.500Z",
            "ended": None,
            "detail": "waiting for ACTIVE",
        },
    ]
    assert second["to_come"] == ["network", "message_queue", "prepare"]
    assert (second["deadline"], second["attempt"], second["undoing"]) != (None, 0, True)
    known = {"id", "action", "status", "created", "updated", "deadline", "attempt", "reason"}
    assert set(second) == known | {"parent_id", "undoing", "steps", "to_come"}
    assert "sealed" not in str(answer.body)


def several(row: Instance, count: int) -> list[Operation]:
    """Operations, oldest first."""
    made = []
    for at in range(count):
        each = new_operation(aws.new_id(), row.id, row.tenant_id, "restart_instance", timeout=60)
        each.created = 1_000.0 + at
        each.save()
        made.append(each)
    return made


def test_operations_come_in_pages(api: Api, make: Make) -> None:
    row = make()
    made = [each.id for each in reversed(several(row, 5))]
    path = f"/instances/{row.id}/operations"
    first = api.get(f"{path}?limit=2").body
    assert [each["id"] for each in first["operations"]] == made[:2]
    assert first["links"][0]["href"].endswith(f"?limit=2&marker={made[1]}")
    second = api.get(f"{path}?limit=3&marker={made[1]}").body
    assert [each["id"] for each in second["operations"]] == made[2:]
    assert "links" not in second
    assert api.get(f"{path}?marker=nothing").status == 404


def test_one_operation_is_shown_to_its_own_alone(api: Api, other: Api, make: Make) -> None:
    row, (operation,) = (row := make()), several(row, 1)
    path = f"/instances/{row.id}/operations/{operation.id}"
    assert api.get(path).body["operation"]["id"] == operation.id
    assert other.get(path).status == 404
    assert api.get(f"/instances/{make().id}/operations/{operation.id}").status == 404
    assert api.get(f"/instances/{row.id}/operations/nothing").status == 404


@pytest.mark.parametrize(
    ("action", "changes", "to_come"),
    [
        (CREATE.action, {}, ["volume", "network", "message_queue", "server", "prepare"]),
        (CREATE.action, {"cancelled": "reset"}, [step.name for step in CREATE.undo]),
        (CREATE.action, {"compensating": True}, [step.name for step in CREATE.undo]),
        (DELETE.action, {"cancelled": "reset"}, [step.name for step in DELETE.steps]),
        (CREATE.action, {"status": "FAILED"}, []),
    ],
)
def test_what_is_to_come_is_of_the_way_that_it_goes(
    api: Api, make: Make, action: str, changes: dict[str, object], to_come: list[str]
) -> None:
    row = make()
    operation = new_operation(aws.new_id(), row.id, row.tenant_id, action, timeout=60)
    for name, value in changes.items():
        setattr(operation, name, value)
    operation.save()
    (shown,) = api.get(f"/instances/{row.id}/operations").body["operations"]
    assert shown["to_come"] == to_come


def test_what_has_begun_an_operation_is_told_to_administrators_alone(
    api: Api, admin: Api, make: Make
) -> None:
    row = make()
    made = new_operation(aws.new_id(), row.id, row.tenant_id, "rebuild_instance", timeout=60)
    made.parent_id = "operation-of-a-rollout"
    made.save()
    path = f"/instances/{row.id}/operations"
    for asker, told in ((admin, made.parent_id), (api, None)):
        (listed,) = asker.get(path).body["operations"]
        shown = asker.get(f"{path}/{made.id}").body["operation"]
        assert (listed["parent_id"], shown["parent_id"]) == (told, told)


# ---------------------------------------------------------------------------------- cancel


def live(row: Instance, action: str, **more: Any) -> Operation:
    """An operation under way on an instance."""
    made = new_operation(aws.new_id(), row.id, row.tenant_id, action, timeout=600)
    for name, value in {"status": "RUNNING", **more}.items():
        setattr(made, name, value)
    made.save()
    row.update(actions=[Instance.operation_id.set(made.id)])
    return made


def cancel(api: Api, row: Instance, operation: Operation) -> Answer:
    return api.delete(f"/instances/{row.id}/operations/{operation.id}")


OF_INSTANCES = FLOWS_OF[SubjectKind.INSTANCE]
GOING_BACK = [flow.action for flow in OF_INSTANCES if flow.undo and flow.revocable]
GOING_ON = [flow.action for flow in OF_INSTANCES if flow.action not in GOING_BACK]


@pytest.mark.parametrize("action", GOING_BACK)
def test_an_operation_that_can_go_back_is_cancelled(
    api: Api, admin: Api, make: Make, hints: list[str], action: str
) -> None:
    row = make(FLOWS[action].during)
    operation = live(row, action)
    asker = admin if FLOWS[action].operators else api
    answer = cancel(asker, row, operation)
    assert answer.status == 202
    assert answer.headers["Location"].endswith(f"/operations/{operation.id}")
    shown = api.get(f"/instances/{row.id}/operations/{operation.id}").body["operation"]
    assert (shown["status"], shown["reason"]) == ("RUNNING", "The operation was cancelled.")
    assert hints == [operation.id]
    (event,) = api.get(f"/instances/{row.id}/events").body["events"]
    assert event["kind"] == f"{action}.called_back"
    assert event["request_id"] == answer.headers["X-OpenStack-Request-Id"]
    assert cancel(asker, row, operation).status == 202, "asking again changes nothing"
    assert len(api.get(f"/instances/{row.id}/events").body["events"]) == 1


@pytest.mark.parametrize("action", GOING_ON)
def test_one_that_cannot_is_waited_for(
    api: Api, admin: Api, make: Make, hints: list[str], action: str
) -> None:
    row = make(FLOWS[action].during)
    operation = live(row, action)
    answer = cancel(admin if FLOWS[action].operators else api, row, operation)
    assert (answer.status, "cannot go back" in answer.fault()) == (409, True)
    operation.refresh()
    assert operation.cancelled is None
    assert hints == []


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "CANCELLED"])
def test_one_that_has_ended_is_not_cancelled(api: Api, make: Make, status: str) -> None:
    row = make()
    operation = live(row, "stop_instance", status=status, live=None)
    answer = cancel(api, row, operation)
    assert (answer.status, status in answer.fault()) == (409, True)


def test_one_that_ends_meanwhile_is_not_cancelled(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make()
    operation = live(row, "stop_instance")
    real = subjects.cancel

    def late(*asked: Any) -> bool:
        operation.update(actions=[Operation.status.set("SUCCEEDED"), Operation.live.remove()])
        return bool(real(*asked))

    monkeypatch.setattr(subjects, "cancel", late)
    assert cancel(api, row, operation).status == 409
    assert api.get(f"/instances/{row.id}/events").body["events"] == []


def test_one_that_goes_back_by_itself_keeps_its_reason(api: Api, make: Make) -> None:
    row = make()
    operation = live(row, "stop_instance", compensating=True, reason="Nova refused.")
    assert cancel(api, row, operation).status == 202
    operation.refresh()
    assert (operation.cancelled, operation.reason) == (None, "Nova refused.")


@pytest.mark.parametrize("status", ["RUNNING", "FAILED"])
def test_one_that_was_cancelled_hides_no_other_reason(api: Api, make: Make, status: str) -> None:
    row = make()
    operation = live(
        row, "stop_instance", status=status, cancelled="Called back.", reason="Nova refused."
    )
    shown = api.get(f"/instances/{row.id}/operations/{operation.id}").body["operation"]
    assert shown["reason"] == "Called back. Nova refused."


def test_a_delete_that_waits_is_not_cancelled(api: Api, make: Make) -> None:
    row = make()
    live(row, "restart_instance")
    waiting = api.delete(f"/instances/{row.id}").headers["Location"].rpartition("/")[2]
    assert api.delete(f"/instances/{row.id}/operations/{waiting}").status == 409


@pytest.mark.parametrize(
    "action",
    ["rebuild_instance", "rebuild_stopped_instance", "migrate_instance", "reboot_instance"],
)
def test_what_only_an_administrator_asks_for_is_not_its_tenants_to_cancel(
    api: Api, make: Make, action: str
) -> None:
    row = make(FLOWS[action].during)
    operation = live(row, action)
    assert cancel(api, row, operation).status == 403
    operation.refresh()
    assert operation.cancelled is None


@pytest.mark.parametrize("meanwhile", [False, True], ids=["before", "meanwhile"])
def test_a_rebuild_that_has_replaced_its_guest_is_not_cancelled(
    admin: Api, make: Make, monkeypatch: pytest.MonkeyPatch, *, meanwhile: bool
) -> None:
    row = make(Status.REBUILD)
    operation = live(row, "rebuild_instance", started={} if meanwhile else {"new_generation": 1})
    real = subjects.cancel

    def late(*asked: Any) -> bool:
        take_lease(operation.id, "new_generation")
        return bool(real(*asked))

    if meanwhile:
        monkeypatch.setattr(subjects, "cancel", late)
    answer = cancel(admin, row, operation)
    assert (answer.status, "cannot go back" in answer.fault()) == (409, True)
    operation.refresh()
    assert operation.cancelled is None


def test_strangers_cancel_nothing(api: Api, other: Api, make: Make) -> None:
    row, neighbour = make(), make()
    operation = live(row, "stop_instance")
    assert cancel(other, row, operation).status == 404
    assert cancel(api, neighbour, operation).status == 404
    operation.refresh()
    assert operation.cancelled is None


def test_one_that_its_instance_does_not_know_is_not_cancelled(api: Api, make: Make) -> None:
    """The instances' table was restored to a moment before it."""
    row = make()
    operation = live(row, "stop_instance")
    row.update(actions=[Instance.operation_id.remove()])
    assert cancel(api, row, operation).status == 409
