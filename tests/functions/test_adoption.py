"""After a restore of tables to an earlier moment: what has no row is made a row again, or told."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.cloud import names, network
from chalicelib.domain.flows import REBUILD, STOP
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.store import events, instances, operations, quotas, restoring
from chalicelib.store.models import Guest, Instance, ServiceStatusRow
from tests.functions.restored import Backup, created, lose_row, plain, queued, resize, run
from tests.support import resizes
from tests.support.rows import TENANT, new_instance
from tests.support.simulated import Stack
from tests.support.things import make_volume


def test_who_may_reach_an_adopted_instance_is_what_holds_in_the_cloud(stack: Stack) -> None:
    created(stack)
    backup = Backup(stack, Instance)
    young = created(stack)
    stack.update_access(young, is_public=True, allowed_cidrs=["192.0.2.0/24"])
    stack.settle()
    before = plain(young)
    backup.restore()
    run()
    assert plain(young)["access"] == before["access"]
    assert plain(young)["addresses"] == before["addresses"]
    assert len(before["addresses"]) == 2
    stack.check()


def test_what_is_younger_than_the_restore_is_adopted_as_it_was(stack: Stack) -> None:
    old = created(stack)
    backup = Backup(stack, Instance)
    young = created(stack)
    before, used = plain(young), quotas.used_of(quotas.get_quota(TENANT))
    backup.restore()
    assert run(check=True) == [f"{young}: database of {TENANT}", f"{TENANT}: {_one_less()}"]
    assert instances.find_instance(young) is None
    assert run() == [f"{young}: database of {TENANT}"]
    assert plain(young) == before
    assert quotas.used_of(quotas.get_quota(TENANT)) == used
    assert "instance.adopted" in {each.kind for each in events.events_of(young)}
    assert run() == []
    stack.check()
    for instance_id in (old, young):
        stack.delete(instance_id)
    stack.settle()
    stack.check()


def _one_less() -> str:
    return "instances 2 → 1, ram 1024 → 512, volumes 4 → 2"


def test_what_was_stopped_is_adopted_as_stopped(stack: Stack) -> None:
    backup = Backup(stack, Instance)
    young = created(stack)
    stack.accept(young, STOP)
    stack.settle()
    before = plain(young)
    backup.restore()
    run()
    assert plain(young) == before
    stack.check()


def test_a_create_that_was_under_way_goes_on(stack: Stack) -> None:
    backup = Backup(stack, Instance)
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    instance, operation = stack.create()
    stack.run(30)
    backup.restore()
    run()
    row = instances.get_instance(instance.id)
    assert (row.status, row.operation_id) == (Status.BUILD, operation.id)
    for guest in stack.guests.values():
        guest.silent = False
    stack.settle()
    stack.check()


def test_an_adopted_instance_is_as_large_as_its_volume(stack: Stack) -> None:
    created(stack)
    backup = Backup(stack, Instance)
    young = created(stack)
    resize(stack, young)
    stack.settle()
    before = plain(young)
    backup.restore()
    run()
    assert plain(young) == before
    stack.check()


def test_an_adopted_instance_has_the_flavor_of_its_server(stack: Stack) -> None:
    created(stack)
    backup = Backup(stack, Instance)
    young = created(stack)
    resizes.resize(stack, young)
    stack.settle()
    before = plain(young)
    assert before["flavor_id"] == resizes.MORE.id
    backup.restore()
    run()
    assert plain(young) == before
    stack.check()


def test_an_adopted_row_knows_of_the_delete_that_waits(stack: Stack) -> None:
    backup = Backup(stack, Instance)
    instance_id = created(stack)
    change = stack.update_access(instance_id, is_public=True)
    deletion = queued(stack, instance_id)
    backup.restore()
    assert run("adopt") == [f"{instance_id}: database of {TENANT}"]
    row = instances.get_instance(instance_id)
    assert (row.status, row.operation_id) == (Status.SHUTDOWN, change.id)
    assert row.next_operation_id == deletion.id
    run()
    stack.settle()
    stack.check()
    ended = operations.get_operation(deletion.id)
    assert ended is not None
    assert ended.status == "SUCCEEDED"


def test_what_is_not_whole_is_adopted_in_error_and_can_be_deleted(stack: Stack) -> None:
    instance_id = created(stack)
    lose_row(stack, instance_id)
    for server in stack.servers:
        stack.cloud.compute._lifecycle.vanish(server)
    (told,) = run("adopt")
    assert told == (
        f"{instance_id}: database of {TENANT}: "
        "Found again after a restore without its server; delete the instance."
    )
    row = instances.get_instance(instance_id)
    assert (row.status, row.fault_message) == (Status.ERROR, told.split(": ", 2)[2])
    assert row.resources == {}, "so that it is not started"
    stack.delete(instance_id)
    stack.settle()
    stack.check()


def test_a_guest_whose_key_is_lost_is_told(stack: Stack) -> None:
    backup = Backup(stack, Instance, Guest)
    instance_id = created(stack)
    backup.restore()
    assert "without the key of its guest; rebuild the instance" in run("adopt")[0]
    assert instances.get_instance(instance_id).status == Status.ERROR
    stack.accept(instance_id, REBUILD, {"image_id": None, "was": Status.ERROR})
    stack.settle()
    row = instances.get_instance(instance_id)
    assert (row.status, row.fault_message) == (Status.ACTIVE, None)


def test_a_server_that_is_being_made_anew_is_made_after_a_restore(stack: Stack) -> None:
    instance_id = created(stack)
    ((image_id, server),) = ((server.image_id, server) for server in stack.servers)
    stack.cloud.compute._lifecycle.vanish(server)
    arguments = {"image_id": image_id, "was": Status.ACTIVE}
    stack.reach(stack.accept(instance_id, REBUILD, arguments), "new_generation")
    lose_row(stack, instance_id)
    run()
    stack.settle()
    row = instances.get_instance(instance_id)
    assert (row.status, row.generation) == (Status.ACTIVE, 2)
    assert {"server_id", "volume_id", "port_id"} <= set(row.resources)
    stack.check()


def test_what_holds_no_record_is_told_and_stays(stack: Stack) -> None:
    stranger = "0b0e3a6c-6a3d-4a77-8f0e-1d2f3a4b5c6d"
    make_volume(f"coffer-{stranger}", names.metadata(stranger, 1))
    (told,) = run("adopt")
    assert told == f"{stranger}: cannot be adopted: its metadata holds no record of its row"
    assert instances.find_instance(stranger) is None
    stack.run(5)
    assert stack.inventory()["volume"] == [f"coffer-{stranger}"]


def test_the_report_of_a_guest_stands_and_its_absence_is_unknown(stack: Stack) -> None:
    backup = Backup(stack, Instance, ServiceStatusRow)
    instance_id = created(stack)
    Backup(stack, ServiceStatusRow)
    lose_row(stack, instance_id)
    run("adopt")
    reported = instances.service_status(instance_id)
    assert reported is not None
    assert reported.status == ServiceStatus.HEALTHY
    backup.restore()
    run("adopt")
    reported = instances.service_status(instance_id)
    assert reported is not None
    assert reported.status == ServiceStatus.UNKNOWN


def test_who_may_reach_an_adopted_instance_is_what_the_rules_say(stack: Stack) -> None:
    instance_id = created(stack)
    (group,) = network.find_security_groups(instance_id)
    (rule,) = group.rules
    network.create_rule(group.id, network.Rule(rule.port, "10.0.0.0/8"))
    network.delete_rule(group.rules[rule])
    lose_row(stack, instance_id)
    run("adopt")
    assert instances.get_instance(instance_id).access == {"allowed_cidrs": ["10.0.0.0/8"]}


def test_what_is_noted_on_an_instance_is_there_again(stack: Stack) -> None:
    noted: dict[str, Any] = {"description": "of the shop", "tags": {"a", "b"}, "protected": True}
    instance, _ = stack.create(**noted)
    stack.settle()
    before = plain(instance.id)
    lose_row(stack, instance.id)
    run()
    assert plain(instance.id) == before
    assert {name: before[name] for name in noted} == noted


@pytest.mark.usefixtures("stack")
def test_notes_that_are_too_long_for_the_record_are_left_out_and_the_protection_is_not() -> None:
    tags = {f"{number:02d}{'😀' * 58}" for number in range(50)}
    row = new_instance(name="😀" * 255, description="😀" * 255, tags=tags, protected=True)
    record = restoring.record_of(row)
    assert ("tags" in record, "description" in record, record["protected"]) == (False, True, True)
    assert len(names.metadata(row.id, 1, record)) <= 128


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    "name",
    ["database", "d" * 255, "😀 \"'" * 50, " leading and trailing "],
    ids=["plain", "long", "emoji", "spaces"],
)
def test_a_record_survives_the_limits_of_metadata(name: str) -> None:
    nics = [{"network_id": "n" * 36, "subnet_id": "s" * 36, "ip_address": "10.0.0.4"}]
    row = new_instance(
        name=name,
        nics=nics,
        access={"is_public": False},
        volume_type="fast ",
        description=name,
        tags={f"tag {number}" for number in range(50)},
    )
    metadata = names.metadata(row.id, 1, restoring.record_of(row))
    assert len(metadata) <= 128
    assert all(len(value) <= 255 and value.isascii() for value in metadata.values())
    assert not any(" " in value for value in metadata.values())
    record = names.record_in(metadata)
    assert record is not None
    again = restoring.row_from(row.id, 1, record)
    assert again is not None
    assert restoring.record_of(again) == restoring.record_of(row)
    assert names.record_in({**metadata, "coffer_row_0": "{"}) is None
