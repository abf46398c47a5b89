"""mgmt/rollouts: whose it is, what it takes, one at a time, how far it is, its cancel."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.operations import OperationStatus
from chalicelib.domain.rollouts import Progress
from chalicelib.status import RolloutStatus
from chalicelib.store import children, rollouts
from chalicelib.store.base import as_dict
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.kinds import Items, Rollouts
from chalicelib.store.models import Job, Operation, Rollout
from chalicelib.store.operations import get_operation
from tests.api.client import Answer, Api
from tests.api.conftest import Make, operations
from tests.support.bare import World

ASKED = {"image_id": "image-2", "datastore_version": "10.11"}


@pytest.fixture(autouse=True)
def nothing_before(world: World) -> None:
    """The tables are those of all tests here."""
    for table in (Rollout, Job):
        for row in table.scan():
            row.delete()


def begin(api: Api, **more: Any) -> Answer:
    return api.post("/mgmt/rollouts", {"rollout": {**ASKED, **more}})


def begun(api: Api, **more: Any) -> tuple[str, Operation]:
    """A rollout that was accepted, and its operation."""
    rollout_id = begin(api, **more).body["rollout"]["id"]
    (operation,) = operations(rollout_id)
    return rollout_id, operation


def end(operation: Operation, status: str = "SUCCEEDED", **counted: Any) -> None:
    """Let a rollout's operation end with what it has counted."""
    for name, value in Progress(**counted).recorded().items():
        operation.update(actions=[Operation.resources[name].set(value)])
    reason = "Too many failed." if status == "FAILED" else ""
    end_operation(operation, Ending(OperationStatus(status), reason))


def test_one_is_an_operation_that_is_seen_at_once(admin: Api, hints: list[str]) -> None:
    answer = begin(admin, project_id="mine", at_once=5, tolerate=2)
    assert answer.status == 202
    view = answer.body["rollout"]
    (operation,) = operations(view["id"])
    assert hints == [operation.id]
    assert answer.headers["Location"].endswith(f"/{admin.project}/mgmt/rollouts/{view['id']}")
    assert {
        "status": "RUNNING",
        "image_id": "image-2",
        "datastore_version_id": "v-1011",
        "project_id": "mine",
        "at_once": 5,
        "tolerate": 2,
        "rebuilt": 0,
        "fault": None,
    }.items() <= view.items()
    assert operation.arguments == rollouts.get_rollout(view["id"]).asked
    assert (operation.kind, operation.user_id) == ("rollout", f"user-of-{admin.project}")
    shown = admin.get(f"/mgmt/rollouts/{view['id']}").body["rollout"]
    assert [shown["operation"][name] for name in ("id", "action", "to_come")] == [
        operation.id,
        "roll_out",
        ["rebuild"],
    ]


def test_without_more_it_is_all_of_a_version_one_at_a_time(admin: Api) -> None:
    view = begin(admin).body["rollout"]
    names = ("datastore_version_id", "project_id", "at_once", "tolerate")
    assert [view[name] for name in names] == ["v-1011", None, 1, 0]


@pytest.mark.parametrize(
    "asked",
    [
        {"image_id": ""},
        {"image_id": None},
        {"at_once": 0},
        {"at_once": 51},
        {"at_once": "5"},
        {"tolerate": -1},
        {"tolerate": 1001},
        {"project_id": ""},
        {"datastore_version": None},
        {"datastore_version": "no such version"},
        {"datastore_version": "twin"},
        {"pace": 1},
    ],
)
def test_what_makes_no_sense_is_refused(admin: Api, asked: dict[str, Any]) -> None:
    answer = begin(admin, **asked)
    assert answer.status == 400
    assert answer.fault()
    assert list(Rollout.scan()) == []


def test_a_bundle_of_the_agent_is_for_all_or_those_of_a_version(admin: Api) -> None:
    named = {"version": "0.1.0+1f3a9c02", "sha256": "ab" * 32, "size": 9_000_000}
    asked = {"agent": named, "at_once": 20}
    view = admin.post("/mgmt/rollouts", {"rollout": asked}).body["rollout"]
    assert (view["agent"], view["image_id"], view["datastore_version_id"]) == (named, None, None)
    (operation,) = operations(view["id"])
    assert (operation.arguments or {})["agent"] == named
    end(operation)
    more = {"rollout": asked | {"datastore_version": "10.11"}}
    assert admin.post("/mgmt/rollouts", more).body["rollout"]["datastore_version_id"] == "v-1011"
    (newest,) = operations(admin.get("/mgmt/rollouts").body["rollouts"][0]["id"])
    end(newest)
    for wrong in ({"agent": named, "image_id": "image-2"}, {}, {"image_id": "image-2"}):
        assert admin.post("/mgmt/rollouts", {"rollout": wrong}).status == 400
    assert begin(admin, agent=named | {"version": "../1"}).status == 400


def test_what_an_end_has_left_running_is_named_in_the_list_too(admin: Api) -> None:
    rollout_id, operation = begun(admin)
    end(operation, "FAILED", under_way=("instance-1",))
    (listed,) = admin.get("/mgmt/rollouts").body["rollouts"]
    child = children.child_id(operation.id, "instance-1")
    assert listed["under_way"] == [{"instance_id": "instance-1", "operation_id": child}]
    shown = admin.get(f"/mgmt/rollouts/{rollout_id}").body["rollout"]
    assert shown["under_way"] == listed["under_way"]


def test_one_that_goes_back_by_itself_keeps_its_reason(admin: Api) -> None:
    rollout_id, operation = begun(admin)
    operation.update(actions=[Operation.compensating.set(True), Operation.reason.set("Too many.")])
    assert admin.delete(f"/mgmt/rollouts/{rollout_id}").status == 202
    operation.refresh()
    assert (operation.cancelled, operation.reason) == (None, "Too many.")


def test_it_is_for_administrators(api: Api, admin: Api) -> None:
    rollout_id, _ = begun(admin)
    path = f"/mgmt/rollouts/{rollout_id}"
    asked = [begin(api), api.get("/mgmt/rollouts"), api.get(path), api.delete(path)]
    assert [answer.status for answer in asked] == [401] * 4, "as Trove refuses"


def test_one_runs_at_a_time(admin: Api) -> None:
    rollout_id, operation = begun(admin)
    refused = begin(admin, project_id="another")
    assert (refused.status, rollout_id in refused.fault()) == (409, True)
    planned = admin.post("/mgmt/rollouts?dry_run=true", {"rollout": ASKED}).body["dry_run"]
    assert (planned["would_be_accepted"], planned["refusal"]["code"]) == (False, 409)
    end(operation)
    assert begin(admin).status == 202


def test_two_at_once_are_one(admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Rollouts.beside_new
    others: list[int] = []

    def late(kind: Rollouts, row: Rollout) -> Items:
        monkeypatch.setattr(Rollouts, "beside_new", look)
        seen = look(kind, row)
        others.append(begin(admin).status)
        return seen

    end(begun(admin)[1])
    monkeypatch.setattr(Rollouts, "beside_new", late)
    assert (begin(admin).status, others) == (409, [202])


def test_a_row_of_a_restored_table_keeps_nobody_out(admin: Api) -> None:
    rollout_id, operation = begun(admin)
    before = rollouts.get_rollout(rollout_id)
    end(operation)
    before.save()
    assert begin(admin).status == 202


def test_a_plan_makes_nothing(admin: Api, hints: list[str]) -> None:
    answer = admin.post("/mgmt/rollouts?dry_run=true", {"rollout": {**ASKED, "at_once": 3}})
    plan = answer.body["dry_run"]
    assert (plan["action"], plan["would_be_accepted"]) == ("roll_out", True)
    assert plan["changes"]["at_once"] == 3
    assert plan["bound_seconds"] == 86400
    assert (list(Rollout.scan()), hints) == ([], [])


def test_the_same_request_again_is_the_same_rollout(admin: Api) -> None:
    key = {"Idempotency-Key": "key-1"}
    one, two = (admin.post("/mgmt/rollouts", {"rollout": ASKED}, headers=key) for _ in range(2))
    assert (one.status, two.status) == (202, 202)
    assert one.body == two.body
    assert len(list(Rollout.scan())) == 1


def test_how_far_it_is_stands_with_its_operation_until_it_has_ended(admin: Api) -> None:
    rollout_id, operation = begun(admin)
    under_way = Progress(rebuilt=2, under_way=("instance-1",), behind="instance-1")
    for name, value in under_way.recorded().items():
        operation.update(actions=[Operation.resources[name].set(value)])
    view = admin.get(f"/mgmt/rollouts/{rollout_id}").body["rollout"]
    child = children.child_id(operation.id, "instance-1")
    assert view["under_way"] == [{"instance_id": "instance-1", "operation_id": child}]
    assert (view["rebuilt"], view["all_seen"]) == (2, False)
    end(operation, "FAILED", rebuilt=2, failed=1, failures=("instance-1",))
    view = admin.get(f"/mgmt/rollouts/{rollout_id}").body["rollout"]
    assert (view["status"], view["under_way"]) == (RolloutStatus.FAILED, [])
    assert view["failed_instances"] == ["instance-1"]
    assert view["fault"]["message"] == "Too many failed."
    assert view["operation"]["status"] == "FAILED"
    stored = get_operation(operation.id)
    assert stored is not None
    assert as_dict(stored.resources)["rebuilt"] == 2


def test_the_newest_are_listed_first_by_pages(admin: Api) -> None:
    made: list[str] = []
    for _ in range(3):
        rollout_id, operation = begun(admin)
        made.insert(0, rollout_id)
        end(operation)
    first = admin.get("/mgmt/rollouts?limit=2")
    assert [each["id"] for each in first.body["rollouts"]] == made[:2]
    second = admin.get(f"/mgmt/rollouts?limit=2&marker={made[1]}")
    assert [each["id"] for each in second.body["rollouts"]] == made[2:]
    assert "links" in first.body
    assert "links" not in second.body
    assert admin.get("/mgmt/rollouts?marker=nothing").status == 400


def test_a_cancel_tells_it_to_begin_no_more(admin: Api, hints: list[str]) -> None:
    rollout_id, operation = begun(admin)
    for _ in range(2):
        assert admin.delete(f"/mgmt/rollouts/{rollout_id}").status == 202
    assert hints == [operation.id] * 3
    stored = get_operation(operation.id)
    assert stored is not None
    assert stored.cancelled == "An administrator stopped it."
    view = admin.get(f"/mgmt/rollouts/{rollout_id}").body["rollout"]
    assert view["operation"]["to_come"] == ["wait"]


def test_one_whose_row_a_restore_has_lost_is_seen_and_stopped_all_the_same(admin: Api) -> None:
    rollout_id, operation = begun(admin)
    Rollout.get(rollout_id).delete()
    view = admin.get(f"/mgmt/rollouts/{rollout_id}").body["rollout"]
    assert (view["id"], view["status"], view["image_id"]) == (rollout_id, "RUNNING", "image-2")
    assert view["operation"]["id"] == operation.id
    assert admin.delete(f"/mgmt/rollouts/{rollout_id}").status == 202
    stored = get_operation(operation.id)
    assert stored is not None
    assert stored.cancelled == "An administrator stopped it."
    end(operation, "CANCELLED")
    assert admin.get(f"/mgmt/rollouts/{rollout_id}").status == 404


def test_one_that_has_ended_is_not_cancelled(admin: Api) -> None:
    rollout_id, operation = begun(admin)
    end(operation)
    answer = admin.delete(f"/mgmt/rollouts/{rollout_id}")
    assert (answer.status, "COMPLETED" in answer.fault()) == (409, True)


def test_what_is_not_there_is_not_found(admin: Api) -> None:
    assert admin.get("/mgmt/rollouts/nothing").status == 404
    assert admin.delete("/mgmt/rollouts/nothing").status == 404


def test_its_operation_is_no_instances(admin: Api, make: Make) -> None:
    _, operation = begun(admin)
    path = f"/instances/{make().id}/operations/{operation.id}"
    assert (admin.get(path).status, admin.delete(path).status) == (404, 404)


def test_its_events_are_in_no_tenants_feed(admin: Api) -> None:
    _, operation = begun(admin)
    end(operation)
    assert admin.get("/events").body["events"] == []
