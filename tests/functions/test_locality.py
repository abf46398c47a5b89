"""Locality: the server group of an instance, made with its server and gone with it."""

from __future__ import annotations

import pytest

from chalicelib.cloud import names, server_groups
from chalicelib.cloud.errors import CloudAway
from chalicelib.lifecycle import Status
from chalicelib.store import instances
from chalicelib.store.models import Instance
from tests.support.simulated import Stack


def made(stack: Stack, locality: str | None = "anti-affinity") -> Instance:
    instance, _ = stack.create(locality=locality)
    stack.settle()
    return instances.get_instance(instance.id)


def test_its_server_is_in_a_group_with_its_policy(stack: Stack) -> None:
    row = made(stack)
    assert row.status == Status.ACTIVE
    (group,) = stack.cloud.compute.groups.groups.values()
    assert (group.name, group.policy) == (names.description(row.id), "anti-affinity")
    (server,) = stack.servers
    assert server.group_id == group.id
    stack.check()


def test_the_group_goes_with_its_last_server(stack: Stack) -> None:
    row = made(stack)
    stack.delete(row.id)
    stack.settle()
    assert stack.cloud.compute.groups.groups == {}
    stack.check()


def test_what_asks_for_none_has_none_and_looks_for_none(stack: Stack) -> None:
    row = made(stack, None)
    stack.delete(row.id)
    stack.settle()
    assert not [call for call in stack.log if call.startswith("server_groups")]


def test_a_create_that_fails_takes_its_group_back(stack: Stack) -> None:
    stack.spoil("compute", "create_server", "error", times=9)
    row = made(stack)
    assert row.status == Status.ERROR
    assert stack.cloud.compute.groups.groups == {}
    stack.check()


def test_a_quota_without_room_for_a_group_is_told(stack: Stack) -> None:
    caller = stack.cloud_functions.caller
    stack.cloud.compute.quotas.update(caller.project_id, {"server_groups": 0})
    row = made(stack)
    assert row.status == Status.ERROR
    told = row.fault_message or ""
    assert f"no room to create the server group Database instance {row.id}" in told
    assert "its quota for server groups in the cloud is used up" in told
    stack.check()


def test_a_group_whose_answer_was_lost_is_found_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = server_groups.create, []

    def lost(name: str, policy: str) -> str:
        asked.append(real(name, policy))
        raise CloudAway("gateway timeout")

    monkeypatch.setattr(server_groups, "create", lost)
    row = made(stack)
    assert (row.status, len(asked)) == (Status.ACTIVE, 1)
    stack.check()


def test_of_two_groups_one_is_too_many(stack: Stack) -> None:
    instance, _ = stack.create(locality="affinity")
    for _ in range(2):
        server_groups.create(names.description(instance.id), "affinity")
    stack.settle()
    assert len(stack.cloud.compute.groups.groups) == 1
    stack.check()


@pytest.mark.parametrize(
    ("policy", "hosts"),
    [("affinity", 1), ("anti-affinity", 4), ("soft-affinity", 1), ("soft-anti-affinity", 4)],
)
def test_the_hosts_of_members_follow_the_policy(stack: Stack, policy: str, hosts: int) -> None:
    """What the simulated Nova does with more members than an instance has today."""
    row = made(stack, policy)
    (server,) = stack.servers
    groups, caller = stack.cloud.compute.groups, stack.cloud_functions.caller
    (group,) = groups.groups.values()
    chosen = {server.host}
    for number in range(4):
        host = groups.host(caller, group.id)
        if host is None:
            assert (policy, number) == ("anti-affinity", 3), "no host is left"
            break
        chosen.add(host)
        other = type(server)(
            id=f"other-{number}",
            name="other",
            project_id=server.project_id,
            user_id=server.user_id,
            flavor=server.flavor,
            image_id=server.image_id,
            created_at=0.0,
            updated_at=0.0,
            host=host,
            group_id=group.id,
        )
        stack.cloud.compute.servers[other.id] = other
    assert len(chosen) == hosts
    for number in range(4):
        stack.cloud.compute.servers.pop(f"other-{number}", None)
    assert row.locality == policy
