"""Real kills on the running stack: after each, the operation ends and nothing is left over.

All creates run side by side, since most of their time is waiting for leases and redeliveries.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from tests.acceptance.stack import Stack, eventually

DEATHS = (
    (
        *("dispatcher@StartExecution", "create_instance.message_queue@CreateQueue"),
        *("create_instance.server@servers.create", "create_instance.prepare@SendMessage"),
        *("enrol@AssumeRole", "conductor@SendTaskSuccess"),
        "create_instance.complete@TransactWriteItems",
    ),
    (
        *("remove_server@servers.delete", "remove_message_queue@DeleteQueue"),
        "delete_instance.complete@TransactWriteItems",
    ),
)
"""Of a create and of a delete: in each kind of function, after each kind of effect."""
MORE_DEATHS = (
    ("create_instance.volume@volumes.create", "create_instance.network@network.create_port"),
    ("remove_volume@volumes.delete", "remove_network@network.delete_port"),
)
"""Of the same kinds. Each costs a lease, or the time until its message comes again."""
CONVERGES_WITHIN = 240


class Early(NamedTuple):
    """What takes long by its nature, begun before the other tests of this file."""

    stuck: str
    killed: str
    lost_status: int


@pytest.fixture(scope="module")
def early(stack: Stack) -> Early:
    """A create whose server never leaves BUILD, one whose guest agent is killed in the middle of
    prepare, and one whose hint was never sent.
    """
    fault = {"service": "compute", "call": "create_server", "mode": "stuck", "count": 1}
    stack.cloud("POST", "/faults", {**fault, "match": ""})
    stuck = stack.demo.created("stuck")
    eventually(lambda: stack.things_of(stuck, "servers"), 60, "the stuck server is there")
    killed = stack.demo.created("killed")

    def preparing() -> bool:
        (operation,) = stack.demo.operations(killed)
        return any(step["name"] == "prepare" for step in operation["steps"])

    eventually(preparing, 60, "the guest is asked to prepare its database")
    (server,) = stack.things_of(killed, "servers")
    stack.cloud("POST", f"/servers/{server['id']}/kill_agent")
    (stack.crash_plan / "api@TransactWriteItems").touch()
    return Early(stuck, killed, stack.demo.create("lost").status_code)


def plan(stack: Stack, crashes: tuple[str, ...]) -> None:
    """Plan one death at each of the effects, whichever instance comes by first."""
    for crash in crashes:
        (stack.crash_plan / crash).touch()


def still_planned(stack: Stack, crashes: tuple[str, ...]) -> list[str]:
    """The deaths that have not happened."""
    return [crash for crash in crashes if (stack.crash_plan / crash).exists()]


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize(
    "deaths",
    [
        pytest.param(DEATHS, id="each"),
        pytest.param(MORE_DEATHS, id="more", marks=pytest.mark.crash),
    ],
)
def test_a_handler_that_dies_in_each_step_of_create_and_of_delete(
    stack: Stack, deaths: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    api = stack.demo
    of_create, of_delete = deaths
    plan(stack, of_create)
    ids = [api.created(f"crash-{number}") for number in range(4)]
    for instance_id in ids:
        api.wait(instance_id, "ACTIVE", within=CONVERGES_WITHIN)
    assert still_planned(stack, of_create) == []
    assert stack.quota_in_use(api) == stack.quota_expected(api)

    plan(stack, of_delete)
    for instance_id in ids:
        assert api.delete(instance_id).status_code == 202
    for instance_id in ids:
        api.wait(instance_id, "GONE", within=CONVERGES_WITHIN)
        stack.assert_owns_nothing(api, instance_id)
    assert still_planned(stack, of_delete) == []


def test_a_guest_agent_killed_in_the_middle_of_prepare_finishes_or_tells_why(
    stack: Stack, early: Early
) -> None:
    api = stack.demo
    ended = api.wait(early.killed, "ACTIVE", "ERROR", within=CONVERGES_WITHIN)
    if ended["status"] == "ERROR":
        assert ended["fault"]["message"]
    assert api.delete(early.killed).status_code == 202
    api.wait(early.killed, "GONE")
    stack.assert_owns_nothing(api, early.killed)


def test_a_lost_message_to_the_task_manager_is_made_up_for_by_the_sweeper(
    stack: Stack, early: Early
) -> None:
    api = stack.demo
    (lost,) = [
        each
        for each in api.request("GET", "/instances").json()["instances"]
        if each["name"] == "lost"
    ]

    def swept() -> bool:
        stack.aws("lambda").invoke(FunctionName="coffer-sweeper", Payload=b"{}")
        shown = api.show(lost["id"])
        return shown is not None and shown["status"] == "ACTIVE"

    assert early.lost_status >= 500
    eventually(swept, 120, "the sweeper starts the accepted create")
    assert api.delete(lost["id"]).status_code == 202
    api.wait(lost["id"], "GONE")
    stack.assert_owns_nothing(api, lost["id"])


def test_the_same_message_three_times_makes_one_instance(stack: Stack) -> None:
    api = stack.demo
    instance_id = api.created("thrice")
    sqs = stack.aws("sqs")
    queue = sqs.get_queue_url(QueueName="coffer-taskmanager")["QueueUrl"]
    (operation,) = api.operations(instance_id)
    for _ in range(3):
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"operation_id": operation["id"]}))
    api.wait(instance_id, "ACTIVE")
    assert len(stack.things_of(instance_id, "servers")) == 1
    api.delete(instance_id)
    api.wait(instance_id, "GONE")
    stack.assert_owns_nothing(api, instance_id)


@pytest.mark.parametrize(
    ("service", "call", "mode"),
    [
        ("compute", "create_server", "refuse"),
        ("compute", "create_server", "quota"),
        ("compute", "create_server", "error"),
        ("volume", "create_volume", "quota"),
        ("network", "create_port", "quota"),
    ],
)
def test_a_create_that_the_cloud_refuses_ends_in_error_with_the_reason(
    stack: Stack, service: str, call: str, mode: str
) -> None:
    api = stack.demo
    fault = {"service": service, "call": call, "mode": mode, "match": "", "count": 1}
    stack.cloud("POST", "/faults", fault)
    instance_id = api.created("refused")
    shown = api.wait(instance_id, "ERROR")
    assert len(shown["fault"]["message"]) > 20
    stack.assert_owns_nothing(api, instance_id)
    assert api.delete(instance_id).status_code == 202
    api.wait(instance_id, "GONE")
    stack.assert_owns_nothing(api, instance_id)


def test_a_server_stuck_in_build_is_given_up_at_the_deadline(stack: Stack, early: Early) -> None:
    api = stack.demo
    shown = api.wait(early.stuck, "ERROR", within=CONVERGES_WITHIN)
    assert "BUILD" in shown["fault"]["message"]
    stack.assert_owns_nothing(api, early.stuck)
    api.delete(early.stuck)
    api.wait(early.stuck, "GONE")
