"""The flows from end to end on the deployed definitions: what is made and taken away."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest

from chalicelib import aws
from chalicelib.bus import commands, queues
from chalicelib.bus.envelope import Fault
from chalicelib.cloud import names, network, servers
from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.settings import settings
from chalicelib.store import commands as rows
from chalicelib.store import events, instances, operations, quotas, restoring
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance
from functions import create_instance, handler
from functions.outcomes import Done
from simulator.cloud.model.cloud import GUEST_IMAGE
from simulator.cloud.model.identity import stable_id
from simulator.template import DEPLOYMENT_ID
from tests.support.definitions import definition
from tests.support.peer import Peer
from tests.support.rows import TENANT
from tests.support.simulated import PASSWORD, Stack
from tests.support.things import left_unrecorded, make_port, make_volume


def test_a_created_instance_owns_what_was_made_for_it(stack: Stack) -> None:
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    row = instances.get_instance(instance.id)
    assert row.status == Status.ACTIVE
    assert set(row.resources) == {
        "volume_id",
        "security_group_id",
        "port_id",
        "queue_url",
        "server_id",
    }
    (port,) = network.find_ports(instance.id)
    (address,) = port.addresses
    assert row.addresses == [{"address": address, "type": "private", "network": port.network_id}]
    ended = operations.get_operation(operation.id)
    assert ended is not None
    assert ended.status == OperationStatus.SUCCEEDED
    steps = as_dict(ended.ended)
    assert set(steps) == {"volume", "network", "message_queue", "server", "prepare"}
    reported = instances.service_status(instance.id)
    assert reported is not None
    assert reported.status == ServiceStatus.HEALTHY


def test_the_guest_is_told_to_prepare_once(stack: Stack) -> None:
    stack.create()
    stack.settle()
    (guest,) = stack.guests.values()
    assert guest.runs == ["prepare"]


def test_the_security_group_opens_the_datastores_port_to_the_allowed_sources(
    stack: Stack,
) -> None:
    access = {"allowed_cidrs": ["10.0.0.7/9", "192.0.2.0/24", "10.1.0.0/16", "10.128.0.0/9"]}
    instance, _ = stack.create(access=access)
    stack.settle()
    (group,) = network.find_security_groups(instance.id)
    assert {(rule.port, rule.cidr) for rule in group.rules} == {
        (3306, "10.0.0.0/8"),
        (3306, "192.0.2.0/24"),
    }


@pytest.mark.parametrize(
    ("reached_by_ipv6", "addresses", "family"),
    [(False, (), "IPv4 "), (False, ("2001:db8::9",), "IPv4 "), (True, (), "")],
)
def test_a_network_by_which_no_guest_is_heard_fails_at_its_own_step(
    stack: Stack, reached_by_ipv6: bool, addresses: tuple[str, ...], family: str
) -> None:
    _have_ports(stack, addresses, reached_by_ipv6=reached_by_ipv6)
    instance, operation = stack.create()
    stack.settle()
    stack.check()
    row = instances.get_instance(instance.id)
    where = f"Network {settings().network_id}"
    assert row.fault_message == f"{where} has no {family}address for the instance's port."
    ended = operations.get_operation(operation.id)
    assert ended is not None
    assert ended.reason == row.fault_message
    assert "server" not in as_dict(ended.started)


def test_a_network_of_ipv6_alone_will_do_where_the_operator_says_so(stack: Stack) -> None:
    """Its tenant lets clients in by name: without names it is IPv4, as in Trove."""
    _have_ports(stack, ("2001:db8::9",), reached_by_ipv6=True)
    instance, _ = stack.create(access={"allowed_cidrs": ["2001:db8::/32"]})
    stack.settle()
    stack.check()
    row = instances.get_instance(instance.id)
    assert row.status == Status.ACTIVE
    assert [each["address"] for each in row.addresses] == ["2001:db8::9"]
    (group,) = network.find_security_groups(instance.id)
    assert {(rule.port, rule.cidr) for rule in group.rules} == {(3306, "2001:db8::/32")}


def _have_ports(stack: Stack, addresses: tuple[str, ...], *, reached_by_ipv6: bool) -> None:
    """Ports have these addresses, and the operator says whether guests need IPv4."""
    stack.patch.setenv("COFFER_IPV6_ONLY_NETWORKS", str(reached_by_ipv6).lower())
    aws.forget("settings")
    make, find = network.create_port, network.find_ports

    def bare(port: network.Port) -> network.Port:
        return msgspec.structs.replace(port, addresses=addresses)

    stack.patch.setattr(network, "create_port", lambda *a, **more: bare(make(*a, **more)))
    stack.patch.setattr(network, "find_ports", lambda owner: [bare(each) for each in find(owner)])


def test_the_server_gets_its_agents_configuration_and_no_password(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    (server,) = stack.servers
    marks = server.metadata
    assert marks == names.metadata(instance.id, 1, restoring.record_of(instance))
    assert marks["coffer_deployment_id"] == DEPLOYMENT_ID
    assert server.image_id == stable_id("image", GUEST_IMAGE)
    user_data = base64.b64decode(server.user_data or "").decode()
    assert PASSWORD not in user_data
    configuration = Peer(server.id, user_data).configuration
    assert configuration.pop("enrolment_token")
    assert configuration == {
        "instance_id": instance.id,
        "generation": 1,
        "control_url": settings().control_url,
        "datastore_manager": "mariadb",
        "datastore_version": instance.datastore_version_number,
        "region": "us-east-1",
        "aws_endpoint_url": None,
    }


def test_prepare_carries_what_the_user_asked_for(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    resources = instances.get_instance(instance.id).resources
    (guest,) = stack.guests.values()
    assert [args for _, args in guest.told] == [
        {
            "datastore": {"manager": "mariadb", "version": "10.11"},
            "flavor": {"ram": 512, "vcpus": 1},
            "volume_id": resources["volume_id"],
            "mount_point": "/var/lib/mysql",
            "users": [{"name": "alice", "password": PASSWORD}],
        }
    ]


def test_of_two_servers_the_one_that_did_not_fail_is_kept(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, operation = stack.create()
    stack.run(2)
    failed = servers.Server(
        "1", "coffer-1", "ERROR", deleting=False, fault="No valid host", owner="i"
    )
    healthy = servers.Server("2", "coffer-1", "ACTIVE", deleting=False, fault=None, owner="i")
    deleted: list[str] = []
    monkeypatch.setattr(servers, "find", lambda instance_id: [failed, healthy])
    monkeypatch.setattr(servers, "delete", deleted.append)
    row = operations.get_operation(operation.id)
    assert row is not None
    assert create_instance.server(row, None) == Done({"server_id": "2"})
    assert deleted == ["1"]


@pytest.mark.parametrize("used", [(0, 0, 0), (2, 2, 2), (1, 2, 0)])
def test_of_what_unknown_results_left_one_of_each_is_kept(
    stack: Stack, used: tuple[int, int, int]
) -> None:
    """Within a second, too, where either of two groups is the older one, and ports use any."""
    instance, operation = stack.create()
    name, description = names.network(instance.id), names.description(instance.id)
    for _ in range(3):
        network.create_security_group(name, description)
    groups = network.find_security_groups(instance.id)
    for number in used:
        left_unrecorded(instance.id, groups[number].id)
    stack.settle()
    ended = operations.get_operation(operation.id)
    assert ended is not None
    assert ended.updated - ended.created < 60, "nothing was waited for"
    stack.check()
    row = instances.get_instance(instance.id)
    assert row.status == Status.ACTIVE, row.fault_message
    for kind in ("volume", "group", "port", "server"):
        assert len(stack.inventory()[kind]) == 1, kind


def test_three_creates_at_once_become_three_instances(stack: Stack) -> None:
    created = [stack.create()[0].id for _ in range(3)]
    stack.settle()
    stack.check()
    assert {instances.get_instance(each).status for each in created} == {Status.ACTIVE}
    assert quotas.used_of(quotas.get_quota(TENANT))["instances"] == 3


def test_a_failed_create_leaves_nothing_in_the_cloud_and_can_be_deleted(stack: Stack) -> None:
    stack.spoil("compute", "create_server", "error")
    instance, _ = stack.create()
    stack.settle()
    stack.check()
    row = instances.get_instance(instance.id)
    assert row.status == Status.ERROR
    assert row.fault_message == "The server went to ERROR: No valid host was found. "
    stack.delete(instance.id)
    stack.settle()
    stack.check()
    deleted = instances.find_instance(instance.id)
    assert deleted is not None
    assert deleted.status == Status.DELETED


def test_a_forced_delete_during_create_starts_when_the_create_has_gone_back(
    stack: Stack,
) -> None:
    instance, creation = stack.create()
    stack.run(2)
    deletion = stack.force_delete(instance.id)
    assert deletion.status == OperationStatus.QUEUED
    stack.settle()
    stack.check()
    ended = [operations.get_operation(each.id) for each in (creation, deletion)]
    assert [row.status for row in ended if row] == ["CANCELLED", "SUCCEEDED"]
    kinds = sorted(row.kind for row in events.events_of(instance.id))
    assert kinds == [
        "create_instance.accepted",
        "create_instance.cancelled",
        "delete_instance.accepted",
        "delete_instance.succeeded",
        "status.reset",
    ]


def test_a_delete_that_is_forced_on_its_way_ends_at_its_first_attempt(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    stack.spoil("compute", "delete_server", "slow_delete", seconds=10)
    first = stack.delete(instance.id)
    stack.run(1)
    second = stack.force_delete(instance.id)
    assert second.status == OperationStatus.QUEUED
    stack.settle()
    stack.check()
    ended = [operations.get_operation(each.id) for each in (first, second)]
    assert [(row.status, row.attempt) for row in ended if row] == [("SUCCEEDED", 0)] * 2


def test_a_reset_at_the_very_end_of_a_create_still_ends_whole(stack: Stack) -> None:
    instance, _ = stack.create()
    completed: list[str] = []

    def complete(step: str) -> None:
        if step == "create_instance.complete" and not completed:
            completed.append(step)
            row = instances.get_instance(instance.id)
            stack.interruptions["dynamodb.TransactWriteItems"] = lambda: instances.reset_status(
                row, "reset by an operator"
            )

    stack.fates.append(complete)
    stack.settle()
    stack.check()
    row = instances.get_instance(instance.id)
    assert (row.status, row.fault_message) == (Status.ERROR, "reset by an operator")


def test_a_delete_of_an_instance_whose_things_are_gone_already_succeeds(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    stack.take_everything_away()
    stack.region.sqs.delete_queue(QueueUrl=queues.guest_queue_url(instance.id, 1))
    stack.delete(instance.id)
    stack.settle()
    stack.check()


def test_a_delete_takes_what_a_crash_had_left_unrecorded(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    (group,) = network.find_security_groups(instance.id)
    for _ in range(2):
        left_unrecorded(instance.id, group.id)
    stack.delete(instance.id)
    stack.settle()
    stack.check()


def test_what_another_deployment_named_alike_is_neither_adopted_nor_removed(
    stack: Stack,
) -> None:
    instance, _ = stack.create()
    name = f"coffer-{instance.id}"
    marks = {"coffer_deployment_id": "another", "coffer_instance_id": instance.id}
    make_volume(name, marks)
    group = network.create_security_group(name, f"Database instance {instance.id}")
    make_port(name, "mine", group.id)
    before = stack.inventory()
    stack.settle()
    assert {kind: len(found) for kind, found in stack.inventory().items()} == {
        "server": 1,
        "volume": 2,
        "port": 2,
        "group": 2,
        "floating": 0,
    }
    stack.delete(instance.id)
    stack.settle()
    assert stack.inventory() == before


def test_a_throttled_hint_is_made_good_by_the_sweeper(stack: Stack) -> None:
    stack.throttled.add("sqs.SendMessage")
    stack.do(stack.create)
    assert stack.log[-1] == "sqs.SendMessage"
    stack.throttled.clear()
    stack.settle()
    (instance,) = Instance.scan()
    stack.check()
    assert instances.get_instance(instance.id).status == Status.ACTIVE


def test_the_answer_of_the_guest_is_kept_with_the_command_and_not_the_execution(
    stack: Stack,
) -> None:
    _, operation = stack.create()
    stack.settle()
    command = rows.find(f"{operation.id}.prepare")
    assert command is not None
    assert (command.result or {})["status"] == ServiceStatus.HEALTHY
    for execution in stack.executions:
        assert "healthy" not in execution.input
        assert "healthy" not in str(execution.history)


def steps_of(flow: str) -> dict[str, tuple[str, bool]]:
    """The steps that a definition names: the function each is sent to, and whether by token."""
    found = {}
    for state in definition(flow)["States"].values():
        if state["Type"] == "Task":
            by_token = state["Resource"].endswith(".waitForTaskToken")
            parameters = state["Parameters"]
            payload = parameters["Payload"] if by_token else parameters
            target = parameters["FunctionName"] if by_token else state["Resource"]
            found[payload["step"]] = (target, by_token)
    return found


@pytest.mark.parametrize("flow", FLOWS)
def test_every_step_of_a_definition_is_a_step_of_the_function_it_is_sent_to(flow: str) -> None:
    for name, (target, by_token) in steps_of(flow).items():
        steps = {
            "${TaskManagerCloudArn}": handler.CLOUD_STEPS,
            "${TaskManagerArn}": handler.LOCAL_STEPS,
        }[target]
        assert name in steps
        flow_, _, step = name.rpartition(".")
        assert by_token == FLOWS[flow_ or flow].waits_for_guest(step)


def test_what_takes_back_has_a_bound_of_its_own() -> None:
    """The operation's may be over when it begins."""
    assert [step.name for flow in FLOWS.values() for step in flow.undo if not step.timeout] == []


def test_every_step_is_used_by_a_definition() -> None:
    used = {name for flow in FLOWS for name in steps_of(flow)}
    assert used == {*handler.CLOUD_STEPS, *handler.LOCAL_STEPS}


@pytest.mark.parametrize("flow", FLOWS)
def test_a_definition_catches_by_no_class_name_and_bounds_every_task(flow: str) -> None:
    states = definition(flow)["States"]
    for state in states.values():
        names = {
            name
            for rule in [*state.get("Retry", []), *state.get("Catch", [])]
            for name in rule["ErrorEquals"]
        }
        assert names <= {"States.TaskFailed", "States.Timeout", "States.ALL"}
        assert state["Type"] != "Task" or state["TimeoutSeconds"] > 0
    targets = {
        target
        for state in states.values()
        for target in (
            state.get("Next"),
            state.get("Default"),
            *(choice["Next"] for choice in state.get("Choices", [])),
            *(catch["Next"] for catch in state.get("Catch", [])),
        )
        if target
    }
    assert targets | {definition(flow)["StartAt"]} == set(states)
    assert json.dumps(states).count('"Type": "Succeed"') == 1


def test_an_operation_tells_the_same_cause_as_its_instance(stack: Stack) -> None:
    stack.guests.on_guest = lambda guest: setattr(guest, "failure", "no space left")
    instance, operation = stack.create()
    stack.settle()
    row, ended = instances.get_instance(instance.id), operations.get_operation(operation.id)
    assert ended is not None
    assert ended.reason == row.fault_message
    assert "no space left" in str(ended.reason)


def test_an_answer_that_is_none_fails_the_step_and_is_told_as_the_guests(stack: Stack) -> None:
    stack.guests.on_guest = lambda guest: setattr(guest, "answer", {"status": "half done"})
    instance, operation = stack.create()
    stack.settle()
    row, ended = instances.get_instance(instance.id), operations.get_operation(operation.id)
    assert ended is not None
    assert (row.status, ended.status) == (Status.ERROR, OperationStatus.FAILED)
    assert ended.reason == (
        "The guest agent failed to prepare the database: "
        f"The guest agent of instance {instance.id} gave no valid answer to prepare."
    )
    stack.check()


def test_a_prepare_that_was_answered_meanwhile_is_not_sent_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker died after the command left; the guest failed it before the next one came."""
    instance, operation = stack.create()
    stack.region.sqs.purge_queue(QueueUrl=settings().taskmanager_queue_url)
    queues.make_guest_queue(instance.id, 1)
    name = "create_instance.prepare"
    handler.local({"step": name, "operation_id": operation.id, "token": "token-1"}, None)
    fault = Fault("GuestError", "no space left")
    commands.store_answer(f"{operation.id}.prepare", instance.id, 1, None, fault)
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(commands, "complete", lambda *answer: told.append(answer))
    queue = stack.region.sqs.queues[queues.guest_queue_name(instance.id, 1)]
    sent = len(queue.messages)
    handler.local({"step": name, "operation_id": operation.id, "token": "token-2"}, None)
    assert len(queue.messages) == sent
    assert told == [("token-2", "failed")]
