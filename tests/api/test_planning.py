"""`?dry_run=true`: the plan is what would come of the request, and nothing is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.api.actions import ACTIONS, OPERATORS_ACTIONS
from chalicelib.api.application import ROUTES
from chalicelib.domain.flows import CREATE, DELETE, FLOWS, RESIZE_VOLUME
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store.models import EventRow, Instance, KeptReply, Operation, Quota
from tests.api.client import Answer, Api
from tests.api.conftest import Make
from tests.api.test_idempotency import BODY, _Anything
from tests.api.test_operations import live
from tests.api.test_upgrade_agent import BUNDLE
from tests.support.bare import World

HELD = {"instances": 1, "ram": 512, "volumes": 1}
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"}
RESIZE = {"resize": {"volume": {"size": 3}}}


def planned(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    plan: dict[str, Any] = answer.body["dry_run"]
    assert plan["would_be_accepted"] is (plan["refusal"] is None)
    return plan


def act(api: Api, row: Instance, body: dict[str, Any]) -> dict[str, Any]:
    return planned(api.post(f"/instances/{row.id}/action?dry_run=true", body))


def test_a_create_tells_what_would_be_made_and_held(
    api: Api, world: World, hints: list[str]
) -> None:
    world.log.clear()
    plan = planned(api.post("/instances?dry_run=true", BODY))
    assert not WRITES & set(world.log)
    assert plan["action"] == "create_instance"
    assert plan["changes"]["name"] == "shop"
    assert not {"id", "links", "created"} & set(plan["changes"])
    assert [each["name"] for each in plan["steps"]] == [each.name for each in CREATE.steps]
    assert [each["name"] for each in plan["undoing"]] == [each.name for each in CREATE.undo]
    assert plan["bound_seconds"] == settings().create_timeout_seconds
    assert plan["status"] == {
        "before": "BUILD",
        "during": "BUILD",
        "done": "ACTIVE",
        "undone": "ERROR",
        "failed": "ERROR",
    }
    told = {each["resource"]: (each["held"], each["change"]) for each in plan["quota"]}
    assert told == {"instances": (0, 1), "ram": (0, 512), "volumes": (0, 1)}
    assert api.get("/instances").body["instances"] == []
    assert hints == []


def test_a_resize_tells_what_it_would_change(api: Api, make: Make, world: World) -> None:
    row = make(held=HELD)
    world.log.clear()
    plan = act(api, row, RESIZE)
    assert not WRITES & set(world.log)
    assert (plan["changes"], plan["can_be_cancelled"]) == ({"volume_size": 3}, True)
    assert [each["name"] for each in plan["steps"]] == [each.name for each in RESIZE_VOLUME.steps]
    volumes = next(each for each in plan["quota"] if each["resource"] == "volumes")
    assert (volumes["held"], volumes["change"], volumes["limit"]) == (1, 2, 40)
    row.refresh()
    assert (row.status, row.operation_id) == ("ACTIVE", None)


def test_a_delete_tells_what_it_would_give_back_and_wait_for(api: Api, make: Make) -> None:
    row = make(Status.STOPPING, held=HELD)
    operation = live(row, "stop_instance")
    plan = planned(api.delete(f"/instances/{row.id}?dry_run=True"))
    assert [each["name"] for each in plan["steps"]] == [each.name for each in DELETE.steps]
    assert {each["resource"]: each["change"] for each in plan["quota"]} == {
        name: -amount for name, amount in HELD.items()
    }
    assert (plan["behind"], plan["can_be_cancelled"]) == (operation.id, False)
    operation.refresh()
    assert operation.cancelled is None


def test_what_would_be_refused_is_told_with_its_reason(api: Api, make: Make) -> None:
    refused = {
        "quota": act(api, make(held={**HELD, "volumes": 39}, volume_size=2), RESIZE),
        "smaller": act(api, make(volume_size=5, held=HELD), RESIZE),
        "status": act(api, make(Status.ERROR, held=HELD), RESIZE),
        "protected": planned(api.delete(f"/instances/{make(protected=True).id}?dry_run=true")),
    }
    Quota(api.project, instances=1, volumes=39).save()
    refused["quota"] = act(api, make(held=HELD), RESIZE)
    busy = make(held=HELD)
    live(busy, "restart_instance")
    refused["busy"] = act(api, busy, RESIZE)
    told = {name: plan["refusal"]["code"] for name, plan in refused.items()}
    assert told == {"quota": 413, "smaller": 400, "status": 422, "protected": 409, "busy": 422}
    assert refused["quota"]["refusal"]["message"] == "Quota exceeded for resources: ['volumes']."
    assert all(plan["steps"] for plan in refused.values())


def test_a_create_that_does_not_fit_is_told(api: Api) -> None:
    Quota(api.project, instances=10).save()
    plan = planned(api.post("/instances?dry_run=true", BODY))
    assert plan["refusal"]["fault"] == "overLimit"


def resize(api: Api, row: Instance, query: str) -> Answer:
    return api.post(f"/instances/{row.id}/action{query}", RESIZE)


def delete(api: Api, row: Instance, query: str) -> Answer:
    return api.delete(f"/instances/{row.id}{query}")


@pytest.mark.parametrize("ask", [resize, delete])
@pytest.mark.parametrize(
    "state", [{}, {"status": Status.ERROR}, {"protected": True}, {"volume_size": 4}], ids=str
)
def test_the_plan_is_what_the_request_comes_to(
    api: Api, make: Make, ask: Callable[[Api, Instance, str], Answer], state: dict[str, Any]
) -> None:
    row = make(held=HELD, **state)
    plan, answer = planned(ask(api, row, "?dry_run=true")), ask(api, row, "?dry_run=false")
    assert plan["would_be_accepted"] is (answer.status == 202)
    if plan["refusal"] is not None:
        assert plan["refusal"]["code"] == answer.status
        assert plan["refusal"]["message"] == answer.fault()


def test_what_makes_no_sense_is_refused_as_ever(api: Api, other: Api, make: Make) -> None:
    row = make()
    assert api.post("/instances?dry_run=true", {"instance": {}}).status == 400
    assert api.post("/instances?dry_run=maybe", BODY).status == 400
    assert other.delete(f"/instances/{row.id}?dry_run=true").status == 404
    assert api.post(f"/instances/{row.id}/action?dry_run=true", {"none": {}}).status == 400


def test_what_cannot_be_tried_is_not_done(admin: Api, make: Make) -> None:
    """Every route that changes something knows it or refuses it; so does every action."""
    row = make()
    for route in ROUTES:
        if route.method == "GET" or route.public or route.plans:
            continue
        path = route.path.partition("{project}")[2].format_map(_Anything(row.id))
        answer = admin.ask(route.method, f"{path}?dry_run=true", {})
        assert (answer.status, "dry_run" in answer.fault()) == (400, True), route.path
    for actions, path in ((ACTIONS, "/instances"), (OPERATORS_ACTIONS, "/mgmt/instances")):
        for name in [name for name, action in actions.items() if not action.plans]:
            answer = admin.post(f"{path}/{row.id}/action?dry_run=true", {name: {}})
            assert (answer.status, "dry_run" in answer.fault()) == (400, True), name
    row.refresh()
    assert (row.status, row.operation_id) == ("ACTIVE", None)


def test_a_key_is_not_used_up(api: Api) -> None:
    kept = KeptReply.count()
    headers = {"Idempotency-Key": "k"}
    assert planned(api.post("/instances?dry_run=true", BODY, headers=headers))
    assert KeptReply.count() == kept


@pytest.mark.parametrize("name", sorted(ACTIONS.keys() | OPERATORS_ACTIONS.keys()))
def test_actions_that_plan_are_operations(admin: Api, make: Make, name: str) -> None:
    action = {**ACTIONS, **OPERATORS_ACTIONS}[name]
    if not action.plans or name in ("resize", "rebuild"):
        return
    row = make(Status.STOPPED if name == "start" else Status.ACTIVE, resources={"server_id": "s"})
    path = "/instances" if name in ACTIONS else "/mgmt/instances"
    body = {name: BUNDLE if name == "upgrade_agent" else {}}
    plan = planned(admin.post(f"{path}/{row.id}/action?dry_run=true", body))
    assert plan["refusal"] is None
    assert plan["action"] in FLOWS
    assert Operation.subject_index.count(row.id) == 0
    assert EventRow.count(row.id) == 0
