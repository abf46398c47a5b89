"""Maintenance: the mirror of the flavors, and what deleted instances left in the cloud."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterator

import pytest

from chalicelib import aws
from chalicelib.cloud import names, network, server_groups, servers, volumes
from chalicelib.cloud.errors import CloudAway, Refused
from chalicelib.store import events, instances, jobs
from chalicelib.store.models import Flavor, Instance
from functions import orphans
from simulator.cloud.model.cloud import GUEST_IMAGE
from simulator.cloud.model.identity import stable_id
from simulator.template import DEPLOYMENT_ID
from tests.simulator.deployment import LOOK_SECONDS
from tests.support.simulated import Stack
from tests.support.things import make_port, make_volume

GONE = "0b0e3a6c-6a3d-4a77-8f0e-1d2f3a4b5c6d"
KINDS = {"server", "volume", "port", "security group"}


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log lines, which Lambda's own handler keeps from pytest."""
    loggers = [logging.getLogger(name) for name in ("chalicelib", "functions")]
    for each in loggers:
        each.addHandler(caplog.handler)
    yield caplog
    for each in loggers:
        each.removeHandler(caplog.handler)


@pytest.fixture(autouse=True)
def by_hand(stack: Stack) -> None:
    """Nobody looks but the test."""
    stack.stop_schedules()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round may begin as soon as the last one has ended."""
    monkeypatch.setattr(orphans, "PAUSE_SECONDS", 0)


def look(stack: Stack, **more: object) -> dict[str, object]:
    return stack.job("look_for_orphans", **more)


def mirror(stack: Stack) -> dict[str, object]:
    return stack.job("mirror_flavors")


def mirrored() -> dict[str, int]:
    return {row.id: int(row.ram) for row in Flavor.scan()}


def alarms(told: pytest.LogCaptureFixture) -> list[str]:
    return [record.alarm for record in told.records if hasattr(record, "alarm")]


def test_the_mirror_equals_the_clouds_list(stack: Stack) -> None:
    known = stack.cloud.compute.flavors.flavors
    for each in ("3", "4"):
        del known[each]
    assert mirror(stack) == {"flavors": 2}
    assert mirrored() == {"1": 512, "2": 1024}
    del known["1"]
    known["2"] = dataclasses.replace(known["2"], ram=2048)
    mirror(stack)
    assert mirrored() == {"2": 2048}


def test_a_cloud_that_is_away_is_an_alarm_of_each_job_and_changes_nothing(
    stack: Stack, told: pytest.LogCaptureFixture
) -> None:
    before = mirrored()
    stack.refusals["flavors.list_all"] = CloudAway("The cloud could not list")
    assert mirror(stack) == {"failed": "The cloud could not list"}
    assert mirrored() == before
    stack.refusals["servers.page"] = CloudAway("The cloud could not page")
    assert look(stack) == {"failed": "The cloud could not page"}
    assert alarms(told) == ["job.failed", "job.failed"]
    assert {row.message for row in events.events_of(events.OPERATORS)} == {
        "mirror flavors: The cloud could not list",
        "look for orphans: The cloud could not page",
    }


def things_of(stack: Stack, instance_id: str, *, server: bool = True) -> None:
    """Everything that an instance has in the cloud."""
    metadata, description = names.metadata(instance_id, 1), names.description(instance_id)
    name = f"coffer-{instance_id}"
    volume = make_volume(name, metadata)
    group = network.create_security_group(name, description)
    port = make_port(name, description, group.id)
    stack.run(2)
    if server:
        servers.create(
            f"{name}-1",
            image_id=stable_id("image", GUEST_IMAGE),
            flavor_id="1",
            port_id=port.id,
            volume_id=volume.id,
            user_data="",
            availability_zone=None,
            group_id=server_groups.create(description, "affinity"),
            metadata=metadata,
        )


def deleted(stack: Stack) -> str:
    """The id of an instance that was made and deleted."""
    instance, _ = stack.create()
    stack.settle()
    stack.delete(instance.id)
    stack.settle()
    return instance.id


def empty(stack: Stack) -> bool:
    stack.run(3)
    return not any(stack.inventory().values())


def test_what_has_no_row_is_told_and_never_removed(
    stack: Stack, told: pytest.LogCaptureFixture
) -> None:
    """What a restore of the table to an earlier moment makes of everything that is younger."""
    instance, _ = stack.create(access={"is_public": True})
    stack.settle()
    before = stack.inventory()
    Instance(instance.id).delete()
    stack.switch_guests_off()
    for _ in range(3):
        stack.run(30 * 86400)
        assert look(stack) == {"seen": 5, "unknown": 5, "removed": 0}
    assert stack.inventory() == before
    assert set(alarms(told)) == {"orphans.unknown"}
    said = {row.message for row in events.events_of(events.OPERATORS)}
    assert len(said) == 5
    assert all(instance.id in text for text in said)


def test_what_another_deployment_owns_is_not_even_seen(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second deployment with the same prefix in the same project: its tables know no row."""
    stack.create()
    stack.settle()
    before = stack.inventory()
    stack.switch_guests_off()
    monkeypatch.setenv("COFFER_DEPLOYMENT_ID", "another-deployment")
    aws.forget("settings")
    stack.run(30 * 86400)
    assert look(stack) == {"seen": 0, "unknown": 0, "removed": 0}
    assert stack.inventory() == before
    aws.forget("settings")


def test_what_an_instance_owns_in_any_status_stays(stack: Stack) -> None:
    stack.spoil("compute", "create_server", "stuck")
    instance, _ = stack.create()
    stack.run(3)
    before = stack.inventory()
    assert look(stack)["removed"] == 0
    assert stack.inventory() == before
    assert events.events_of(instance.id)[-1].kind == "create_instance.accepted"


def test_what_a_deleted_instance_left_goes_after_a_while_and_its_data_last(stack: Stack) -> None:
    instance_id = deleted(stack)
    things_of(stack, instance_id)
    (port,) = network.find_ports(instance_id)
    outside = network.find_external_network()
    assert outside is not None
    marked = names.description(instance_id)
    network.create_floating_address(marked, network_id=outside, port_id=port.id)
    stack.run(60)
    assert look(stack)["removed"] == 0
    stack.run(orphans.AGE_SECONDS)
    assert look(stack)["removed"] == 5
    stack.run(3)
    assert server_groups.find(instance_id) == []
    assert {kind: len(found) for kind, found in stack.inventory().items()} == {
        "server": 0,
        "port": 0,
        "group": 0,
        "floating": 0,
        "volume": 1,
    }
    stack.run(orphans.VOLUME_AGE_SECONDS)
    assert look(stack)["removed"] == 1
    assert empty(stack)
    left = [row for row in events.events_of(instance_id) if row.kind == "orphan.removed"]
    told = {re.split(r" coffer| 127| Database", row.message)[0] for row in left}
    assert told == {*KINDS, "floating IP", "server group"}


def test_data_stays_while_a_server_or_a_port_could_come_back_to_it(stack: Stack) -> None:
    instance_id = deleted(stack)
    things_of(stack, instance_id, server=False)
    stack.refusals["network.delete_port"] = CloudAway("The cloud could not delete port")
    stack.run(orphans.VOLUME_AGE_SECONDS + 60)
    look(stack)
    assert stack.inventory()["volume"] == [f"coffer-{instance_id}"]
    del stack.refusals["network.delete_port"]
    assert look(stack)["removed"] == 3
    assert empty(stack)


def test_a_run_that_would_remove_an_implausible_share_removes_nothing(
    stack: Stack, told: pytest.LogCaptureFixture
) -> None:
    gone = [deleted(stack) for _ in range(orphans.PLAUSIBLE_REMOVALS + 1)]
    for instance_id in gone:
        things_of(stack, instance_id, server=False)
    before = stack.inventory()
    stack.run(30 * 60)
    for _ in range(2):
        assert look(stack)["removed"] == 0
    assert stack.inventory() == before
    assert alarms(told) == ["orphans.implausible"] * 2
    (newest, _) = events.events_of(events.OPERATORS)
    assert newest.message.startswith("11 of 11 things of this deployment belong to deleted")
    assert look(stack, sure=True)["removed"] == 20


def test_a_run_removes_so_many_and_no_more(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "MOST_REMOVED", 3)
    for _ in range(5):
        things_of(stack, deleted(stack), server=False)
    stack.run(1000)
    assert [look(stack)["removed"] for _ in range(4)] == [3, 3, 3, 1]
    assert stack.inventory()["port"] == stack.inventory()["group"] == []


def test_a_look_goes_on_where_the_last_run_stopped(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "PAGE_THINGS", 2)
    for _ in range(3):
        stack.create()
    stack.settle()
    seen = []
    page_seconds = orphans.SLICE_SECONDS
    stack.interruptions.clear()

    def slow() -> None:
        stack.kernel.sleep(page_seconds)

    for _ in range(13):
        for call in ("servers.page", "network.page_of_ports", "volumes.page"):
            stack.interruptions[call] = slow
        stack.interruptions["network.page_of_security_groups"] = slow
        seen.append(look(stack)["seen"])
    assert seen == [2, 3, 3, 5, 6, 6, 7, 9, 9, 11, 12, 12, 12], "a group is the project's own"
    stack.interruptions.clear()
    after = jobs.orphan_look()
    assert after == jobs.OrphanLook(begins=after.begins)
    assert stack.kernel.now - LOOK_SECONDS <= after.begins <= stack.kernel.now


def test_a_look_goes_on_behind_what_stays_when_the_last_thing_of_a_page_is_removed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "PAGE_THINGS", 2)
    gone = deleted(stack)
    stack.create()
    stack.settle()
    things_of(stack, gone, server=False)
    stack.create()
    stack.settle()
    stack.run(orphans.AGE_SECONDS)
    assert look(stack) == {"seen": 11, "unknown": 0, "removed": 2}, "nothing is counted twice"


def test_a_round_waits_for_as_long_as_the_last_one_was_large(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "PAUSE_SECONDS", 100)
    stack.create()
    stack.settle()
    seen = []
    for _ in range(3):
        seen.append(look(stack)["seen"])
        stack.run(250)
    assert seen == [4, 0, 4]
    assert look(stack, sure=True)["seen"] == 4


def test_a_kind_is_looked_at_again_when_the_last_thing_of_a_page_is_gone(stack: Stack) -> None:
    stack.create()
    stack.settle()
    jobs.store_orphan_look(jobs.OrphanLook(kind=1, after="port-that-went", seen=1))
    assert look(stack) == {"seen": 4, "unknown": 0, "removed": 0}


def test_a_cloud_that_refuses_the_first_page_is_told(stack: Stack) -> None:
    stack.refusals["servers.page"] = Refused("The cloud refused to page: forbidden")
    jobs.store_orphan_look(jobs.OrphanLook(after="server-that-went"))
    assert look(stack) == {"failed": "The cloud refused to page: forbidden"}


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        (f"coffer-{GONE}", {}),
        (f"coffer-{GONE}", {"coffer_instance_id": GONE}),
        (f"coffer-{GONE}", {"coffer_instance_id": GONE, "coffer_deployment_id": "another"}),
        ("a-volume", {"coffer_deployment_id": DEPLOYMENT_ID}),
    ],
)
def test_a_name_alone_marks_nothing(stack: Stack, name: str, metadata: dict[str, str]) -> None:
    make_volume(name, metadata)
    stack.run(60)
    assert look(stack) == {"seen": 0, "unknown": 0, "removed": 0}


def test_a_leftover_that_cannot_be_removed_does_not_hold_up_the_others(stack: Stack) -> None:
    instance_id = deleted(stack)
    things_of(stack, instance_id)
    stack.run(1000)
    stack.refusals["servers.delete"] = Refused("The cloud refused to delete: locked")
    look(stack)
    look(stack)
    assert stack.inventory()["port"] == []
    assert stack.inventory()["group"] == []
    row = instances.find_instance(instance_id)
    assert row is not None
    assert row.status == "DELETED"


def test_a_leftover_that_cinder_could_not_delete_is_told(
    stack: Stack, told: pytest.LogCaptureFixture
) -> None:
    things_of(stack, deleted(stack), server=False)
    (volume,) = stack.volumes
    stack.run(orphans.VOLUME_AGE_SECONDS + 60)
    stack.cloud.volume.reset_status(stack.cloud.admin(), volume.id, volumes.GIVEN_UP)
    for _ in range(3):
        look(stack)
    assert [each.id for each in stack.volumes] == [volume.id]
    assert f"Cinder could not delete volume {volume.id}" in told.text
