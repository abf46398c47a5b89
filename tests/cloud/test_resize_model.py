"""Nova's resize in the model: what is accepted, refused, taken back, and left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.cloud.model.cloud import FLAVORS
from simulator.cloud.model.errors import BadRequest, CloudError, Conflict, Forbidden, QuotaExceeded
from simulator.cloud.model.faults import Fault
from simulator.cloud.model.flavors import Flavor
from simulator.cloud.model.server import ACTIVE, STOPPED, Server
from simulator.cloud.model.settings import HOSTS, CloudSettings
from tests.cloud.virtual import World, make_world, states

TINY, SMALL, MEDIUM, MEMORY = (each.id for each in FLAVORS)


@pytest.fixture
def world() -> World:
    return make_world()


def active(world: World) -> Server:
    server = world.server(world.volume_id())
    world.time.run(1)
    return server


def resized(world: World, flavor_id: str = SMALL) -> Server:
    server = active(world)
    world.cloud.compute.resize(world.caller, server.id, flavor_id)
    world.time.run(1)
    return server


def arm(world: World, call: str, mode: str) -> None:
    world.cloud.faults.arm(Fault("f", "compute", call, mode))


def test_a_resize_switches_the_server_off_and_on_elsewhere_and_waits(world: World) -> None:
    server = active(world)
    world.cloud.compute.resize(world.caller, server.id, SMALL)
    assert states(server) == ("RESIZE", "resize_prep")
    world.time.run(0.11)
    assert states(server) == ("RESIZE", "resize_migrating")
    assert server.flavor.id == TINY
    world.time.run(1)
    assert states(server) == ("VERIFY_RESIZE", None)
    assert (server.flavor.id, server.host) == (SMALL, HOSTS[1])
    assert world.hypervisor.log[-2:] == ["stop", "start"]
    world.time.run(86400)
    assert server.status == "VERIFY_RESIZE"


def test_a_confirmation_takes_its_time_without_a_task(world: World) -> None:
    server, nova = resized(world), world.cloud.compute
    nova.confirm_resize(world.caller, server.id)
    assert states(server) == ("VERIFY_RESIZE", None)
    for again in (nova.confirm_resize, nova.revert_resize):
        with pytest.raises(BadRequest, match="has not been resized"):
            again(world.caller, server.id)
    world.time.run(1)
    assert states(server) == ("ACTIVE", None)
    assert (server.flavor.id, server.before) == (SMALL, None)


def test_a_revert_brings_flavor_and_host_back(world: World) -> None:
    server = resized(world)
    world.cloud.compute.revert_resize(world.caller, server.id)
    assert states(server) == ("REVERT_RESIZE", "resize_reverting")
    world.time.run(1)
    assert states(server) == ("ACTIVE", None)
    assert (server.flavor.id, server.host) == (TINY, HOSTS[0])
    assert world.hypervisor.log[-2:] == ["stop", "start"]


@pytest.mark.parametrize("end", ["confirm_resize", "revert_resize"])
def test_a_server_that_was_off_stays_off(world: World, end: str) -> None:
    server, nova = active(world), world.cloud.compute
    nova.stop(world.caller, server.id)
    world.time.run(1)
    nova.resize(world.caller, server.id, SMALL)
    world.time.run(1)
    assert (server.status, server.power_state) == ("VERIFY_RESIZE", 4)
    getattr(nova, end)(world.caller, server.id)
    world.time.run(1)
    assert server.status == "SHUTOFF"
    assert "start" not in world.hypervisor.log


def test_with_a_window_a_resize_is_confirmed_by_itself() -> None:
    world = make_world(CloudSettings(resize_confirm_seconds=60.0))
    server = resized(world)
    world.time.run(30)
    assert server.status == "VERIFY_RESIZE"
    world.time.run(60)
    assert (server.status, server.flavor.id) == ("ACTIVE", SMALL)


@pytest.mark.parametrize(
    ("flavor_id", "refusal", "words"),
    [
        (TINY, BadRequest, "must change flavor"),
        ("none", BadRequest, "could not be found"),
        ("diskless", BadRequest, "zero disk"),
        (MEDIUM, QuotaExceeded, "ram"),
    ],
)
def test_what_is_refused_changes_nothing(
    world: World, flavor_id: str, refusal: type[CloudError], words: str
) -> None:
    server = active(world)
    world.cloud.compute.flavors.add(Flavor("diskless", "diskless", 512, 1, 0))
    world.cloud.compute.quotas.update(world.caller.project_id, {"ram": 1024})
    with pytest.raises(refusal, match=words):
        world.cloud.compute.resize(world.caller, server.id, flavor_id)
    assert states(server) == ("ACTIVE", None)


def test_a_smaller_flavor_needs_no_room_in_the_quota(world: World) -> None:
    server = resized(world, MEMORY)
    world.cloud.compute.confirm_resize(world.caller, server.id)
    world.time.run(1)
    world.cloud.compute.quotas.update(world.caller.project_id, {"ram": 0})
    world.cloud.compute.resize(world.caller, server.id, TINY)
    world.time.run(1)
    assert server.flavor.id == TINY


def test_the_wrong_state_is_a_conflict(world: World) -> None:
    server, nova = active(world), world.cloud.compute
    for call in (nova.confirm_resize, nova.revert_resize):
        with pytest.raises(Conflict):
            call(world.caller, server.id)
    nova.resize(world.caller, server.id, SMALL)
    for refused in (nova.stop, nova.start, nova.confirm_resize):
        with pytest.raises(Conflict):
            refused(world.caller, server.id)
    world.time.run(1)
    with pytest.raises(Conflict):
        nova.resize(world.caller, server.id, MEDIUM)
    with pytest.raises(Conflict):
        nova.stop(world.caller, server.id)


@pytest.mark.parametrize("why", ["a smaller disk", "no host"])
def test_what_no_host_takes_is_left_as_it_was_without_a_word(world: World, why: str) -> None:
    server = active(world)
    if why == "no host":
        arm(world, "resize_server", "left_as_it_was")
        world.cloud.compute.resize(world.caller, server.id, MEDIUM)
    else:
        server.flavor = world.cloud.compute.flavors.get(MEDIUM)
        world.cloud.compute.resize(world.caller, server.id, TINY)
    before, log = server.flavor, list(world.hypervisor.log)
    world.time.run(1)
    assert states(server) == ("ACTIVE", None)
    assert (server.flavor, server.fault, server.host) == (before, None, HOSTS[0])
    assert world.hypervisor.log == log


@pytest.mark.parametrize("call", ["resize_server", "confirm_resize", "revert_resize"])
def test_what_fails_ends_in_error_and_a_stop_and_a_start_bring_it_back(
    world: World, call: str
) -> None:
    nova = world.cloud.compute
    server = active(world) if call == "resize_server" else resized(world)
    arm(world, call, "error")
    if call == "resize_server":
        nova.resize(world.caller, server.id, SMALL)
    else:
        getattr(nova, call)(world.caller, server.id)
    world.time.run(1)
    assert server.status == "ERROR"
    assert server.fault is not None
    nova.stop(world.caller, server.id)
    world.time.run(1)
    assert server.vm_state == STOPPED
    nova.start(world.caller, server.id)
    world.time.run(1)
    assert server.vm_state == ACTIVE


@pytest.mark.parametrize("call", ["resize_server", "confirm_resize", "revert_resize"])
def test_what_is_stuck_can_be_deleted(world: World, call: str) -> None:
    nova = world.cloud.compute
    server = active(world) if call == "resize_server" else resized(world)
    arm(world, call, "stuck")
    if call == "resize_server":
        nova.resize(world.caller, server.id, SMALL)
    else:
        getattr(nova, call)(world.caller, server.id)
    shown = server.status
    world.time.run(3600)
    assert server.status == shown
    nova.delete(world.caller, server.id)
    world.time.run(1)
    assert nova.servers == {}


def migrated(world: World, host: str | None = None) -> Server:
    server = active(world)
    world.cloud.compute.migrate(world.cloud.admin(), server.id, host)
    world.time.run(1)
    return server


def test_a_migration_is_a_resize_to_the_flavor_it_has_on_another_host(world: World) -> None:
    server = migrated(world)
    assert states(server) == ("VERIFY_RESIZE", None)
    assert (server.flavor.id, server.host) == (TINY, HOSTS[1])
    world.cloud.compute.revert_resize(world.caller, server.id)
    world.time.run(1)
    assert (server.status, server.host) == ("ACTIVE", HOSTS[0])


def test_a_migration_goes_to_the_host_that_is_named(world: World) -> None:
    server, nova = migrated(world, HOSTS[3]), world.cloud.compute
    nova.confirm_resize(world.caller, server.id)
    world.time.run(1)
    assert (server.status, server.host) == ("ACTIVE", HOSTS[3])
    seen = server.host_id
    nova.migrate(world.cloud.admin(), server.id, None)
    world.time.run(1)
    assert (server.host, server.host_id != seen) == (HOSTS[0], True)


@pytest.mark.parametrize(
    ("host", "words"), [("nowhere", "nowhere could not be found"), (HOSTS[0], "where the server")]
)
def test_a_host_that_is_none_or_its_own_is_refused(world: World, host: str, words: str) -> None:
    server = active(world)
    with pytest.raises(BadRequest, match=words):
        world.cloud.compute.migrate(world.cloud.admin(), server.id, host)
    assert states(server) == ("ACTIVE", None)


def test_only_who_manages_the_project_migrates(world: World) -> None:
    server = active(world)
    member, manager = (
        replace(world.caller, roles=frozenset(roles))
        for roles in (("member", "service"), ("member", "manager"))
    )
    with pytest.raises(Forbidden, match="os-migrate-server:migrate"):
        world.cloud.compute.migrate(member, server.id, None)
    world.cloud.compute.migrate(manager, server.id, None)
    assert server.status == "RESIZE"


@pytest.mark.parametrize(("mode", "status"), [("left_as_it_was", "ACTIVE"), ("error", "ERROR")])
def test_a_migration_fails_as_a_resize_does(world: World, mode: str, status: str) -> None:
    arm(world, "migrate_server", mode)
    assert migrated(world).status == status
