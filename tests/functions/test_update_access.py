"""A change of who may reach an instance: made, taken back, and told."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.cloud import network
from chalicelib.cloud.errors import CloudAway, Refused
from chalicelib.lifecycle import Status
from chalicelib.store import instances, operations
from chalicelib.store.models import Instance, Operation
from functions.outcomes import LONGEST_POLL_SECONDS
from tests.support.simulated import Stack

PUBLIC = {"is_public": True, "allowed_cidrs": ["192.0.2.0/24"]}
PRIVATE: dict[str, Any] = {"is_public": False, "allowed_cidrs": []}


def active(stack: Stack, access: dict[str, Any] | None) -> Instance:
    instance, _ = stack.create(access=access)
    stack.settle()
    stack.check()
    return instances.get_instance(instance.id)


def ended(operation: Operation) -> Operation:
    found = operations.get_operation(operation.id)
    assert found is not None
    return found


def test_a_public_instance_shows_its_floating_address(stack: Stack) -> None:
    row = active(stack, PUBLIC)
    (floating,) = network.find_floating_addresses(row.id)
    assert row.addresses[1:] == [
        {"address": floating.address, "type": "public", "network": network.find_external_network()}
    ]


def test_a_cloud_without_an_external_network_says_so(stack: Stack) -> None:
    for each in stack.cloud.network.networks.values():
        each.external = False
    instance, _ = stack.create(access=PUBLIC)
    stack.settle()
    stack.check()
    row = instances.get_instance(instance.id)
    assert row.status == Status.ERROR
    assert row.fault_message == (
        "This cloud has no external network for a public address; ask the operator."
    )


@pytest.mark.parametrize(("before", "after"), [(PRIVATE, PUBLIC), (PUBLIC, PRIVATE)])
def test_the_access_of_an_active_instance_is_changed(
    stack: Stack, before: dict[str, Any], after: dict[str, Any]
) -> None:
    row = active(stack, before)
    operation = stack.update_access(row.id, **after)
    assert instances.get_instance(row.id).access == before
    stack.settle()
    stack.check()
    changed = instances.get_instance(row.id)
    assert (changed.status, changed.access) == (Status.ACTIVE, after)
    assert (changed.operation_id, changed.resources) == (None, row.resources)
    assert ended(operation).status == "SUCCEEDED"


@pytest.mark.parametrize(
    ("before", "after"), [(PRIVATE, PUBLIC), (PUBLIC, PRIVATE), (None, PUBLIC)]
)
def test_a_change_that_is_refused_is_taken_back_and_told(
    stack: Stack, before: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    row = active(stack, before)
    refused = Refused("The cloud refused to create the floating address.")
    call = "create_floating_address" if after["is_public"] else "delete_floating_address"
    stack.refusals[f"network.{call}"] = refused
    operation = stack.update_access(row.id, **after)
    stack.settle()
    stack.check()
    kept = instances.get_instance(row.id)
    assert (kept.status, kept.access) == (Status.ACTIVE, before)
    assert kept.fault_message == f"The change of the access was given up: {refused}"
    assert ended(operation).reason == kept.fault_message
    stack.refusals.clear()
    stack.update_access(row.id, **after)
    stack.settle()
    stack.check()
    changed = instances.get_instance(row.id)
    assert (changed.access, changed.fault_message) == (after, None)


def test_what_could_not_be_taken_back_is_told(stack: Stack) -> None:
    row = active(stack, PRIVATE)
    for call in ("create_floating_address", "delete_rule"):
        stack.refusals[f"network.{call}"] = CloudAway("The cloud gave no answer.")
    stack.update_access(row.id, **PUBLIC)
    stack.settle()
    kept = instances.get_instance(row.id)
    assert (kept.status, kept.operation_id) == (Status.ACTIVE, None)
    assert "may be changed in part" in str(kept.fault_message)
    stack.refusals.clear()
    stack.update_access(row.id, **PRIVATE)
    stack.settle()
    stack.check()


def test_a_delete_calls_a_change_back_that_is_under_way(stack: Stack) -> None:
    row = active(stack, PRIVATE)
    change = stack.update_access(row.id, **PUBLIC)
    deletion = stack.delete(row.id)
    assert deletion.status == "QUEUED"
    stack.settle()
    stack.check()
    assert (ended(change).status, ended(deletion).status) == ("CANCELLED", "SUCCEEDED")
    assert ended(change).reason == (
        "The change of the access was given up: The instance is being deleted."
    )
    gone = instances.find_instance(row.id)
    assert gone is not None
    assert (gone.status, gone.fault_message) == (Status.DELETED, None)


@pytest.mark.parametrize("waited", [5, 300, 800])
def test_a_delete_does_not_wait_for_a_cloud_that_makes_no_change(
    stack: Stack, waited: float
) -> None:
    """Neither while the change is made, nor while it is taken back (past its 600 seconds)."""
    row = active(stack, PRIVATE)
    for call in ("create_floating_address", "delete_rule"):
        stack.refusals[f"network.{call}"] = CloudAway("The cloud gave no answer.")
    change = stack.update_access(row.id, **PUBLIC)
    stack.run(waited)
    deletion = stack.delete(row.id)
    assert deletion.status == "QUEUED"
    stack.run(LONGEST_POLL_SECONDS + 2)
    assert ended(change).status == "CANCELLED"
    assert ended(deletion).status != "QUEUED"
    stack.refusals.clear()
    stack.settle()
    stack.check()
    assert ended(deletion).status == "SUCCEEDED"


def test_a_reset_takes_a_change_back(stack: Stack) -> None:
    row = active(stack, PRIVATE)
    change = stack.update_access(row.id, **PUBLIC)
    assert instances.reset_status(instances.get_instance(row.id), "reset by an operator")
    stack.settle()
    stack.check()
    assert ended(change).status == "CANCELLED"
    assert instances.get_instance(row.id).access == PRIVATE


@pytest.mark.parametrize("call", ["delete_rule", "delete_floating_address"])
def test_a_delete_that_was_answered_with_404_is_not_believed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The SDK takes a 404 for done, and a cloud may say it of what is still there."""
    row = active(stack, PUBLIC)
    original = getattr(network, call)
    asked: list[str] = []

    def delete(thing_id: str) -> None:
        asked.append(thing_id)
        if len(asked) > 1:
            original(thing_id)

    monkeypatch.setattr(network, call, delete)
    stack.update_access(row.id, **PRIVATE)
    stack.settle()
    stack.check()
    assert len(asked) == 2
    assert instances.get_instance(row.id).access == PRIVATE


def test_rules_on_other_ports_are_not_ours_to_close(stack: Stack) -> None:
    row = active(stack, PUBLIC)
    (group,) = network.find_security_groups(row.id)
    network.create_rule(group.id, network.Rule(port=22, cidr="198.51.100.0/24"))
    stack.update_access(row.id, **PRIVATE)
    stack.settle()
    (group,) = network.find_security_groups(row.id)
    assert {(rule.port, rule.cidr) for rule in group.rules} == {
        (22, "198.51.100.0/24"),
        (3306, "0.0.0.0/0"),
    }
