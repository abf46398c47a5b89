"""Every flow as it is prepared up to the hint, and how it may end: for a fault at each effect."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec

from chalicelib.cloud import servers
from chalicelib.cloud.errors import CloudAway, Refused
from chalicelib.domain.flows import (
    MIGRATE,
    REBOOT,
    REBUILD,
    REBUILD_STOPPED,
    RESIZE_VOLUME,
    RESTART,
    START,
    STOP,
    UPGRADE,
    UPGRADE_AGENT,
    Flow,
)
from chalicelib.lifecycle import Status
from chalicelib.store import instances
from simulator import template
from simulator.cloud.model.cloud import GUEST_IMAGE
from simulator.cloud.model.identity import stable_id
from simulator.fleet.releases import BUNDLES, Kind
from simulator.region import TASK_MANAGERS
from tests.functions.scenarios_of_backups import BACKUPS
from tests.functions.scenarios_of_snapshots import SNAPSHOTS
from tests.support import asking_back, resizes
from tests.support.peer import Peer
from tests.support.scripted import Script
from tests.support.simulated import VERSION, Stack

Scenario = Callable[[Stack], tuple[str, set[str]]]
"""Prepares a stack up to the hint, and names the instance and the statuses it may end in."""
ALWAYS = 10_000
ASKED_WITHIN_SECONDS = 1500.0
"""A guest that was refused asks again within so long."""
IMAGE = stable_id("image", GUEST_IMAGE)


def create(stack: Stack) -> tuple[str, set[str]]:
    return stack.create()[0].id, {Status.ACTIVE, Status.ERROR}


def create_on_a_cloud_without_hosts(stack: Stack) -> tuple[str, set[str]]:
    stack.spoil("compute", "create_server", "error", times=ALWAYS)
    return stack.create()[0].id, {Status.ERROR}


def create_with_a_guest_that_fails(stack: Stack) -> tuple[str, set[str]]:
    def fail(guest: Script) -> None:
        guest.failure = "no space left"

    stack.guests.on_guest = fail
    return stack.create()[0].id, {Status.ERROR}


def delete(stack: Stack) -> tuple[str, set[str]]:
    instance, _ = stack.create()
    stack.settle()
    stack.delete(instance.id)
    return instance.id, {Status.DELETED}


def delete_by_force_during_create(stack: Stack) -> tuple[str, set[str]]:
    instance, _ = stack.create()
    stack.run(2)
    stack.force_delete(instance.id)
    return instance.id, {Status.DELETED}


def delete_by_force_while_the_guest_prepares(stack: Stack) -> tuple[str, set[str]]:
    stack.guests.on_guest = lambda guest: setattr(guest, "silent", True)
    instance, _operation = stack.create()
    stack.run(8)
    stack.force_delete(instance.id)
    return instance.id, {Status.DELETED}


def create_whose_place_is_taken(stack: Stack) -> tuple[str, set[str]]:
    """Another server enrols with the create's token; its own is refused while `prepare` waits."""

    def come_second(guest: Script) -> None:
        stack.kernel.call_later(0.0, take_place, guest.server_id)

    def take_place(server_id: str) -> None:
        user_data = stack.cloud.compute.servers[server_id].user_data or ""
        Peer("extra", base64.b64decode(user_data).decode()).enrol()

    stack.guests.on_guest = come_second
    return stack.create()[0].id, {Status.ERROR}


def _change(stack: Stack, *, public: bool) -> tuple[str, set[str]]:
    open_, closed = (
        {"is_public": True, "allowed_cidrs": ["192.0.2.0/24"]},
        {"is_public": False, "allowed_cidrs": ["10.0.0.0/8"]},
    )
    instance, _ = stack.create(access=closed if public else open_)
    stack.settle()
    stack.update_access(instance.id, **(open_ if public else closed))
    return instance.id, {Status.ACTIVE}


def open_to_the_public(stack: Stack) -> tuple[str, set[str]]:
    return _change(stack, public=True)


def close_to_the_public(stack: Stack) -> tuple[str, set[str]]:
    return _change(stack, public=False)


def open_without_an_external_network(stack: Stack) -> tuple[str, set[str]]:
    ends = _change(stack, public=True)
    for each in stack.cloud.network.networks.values():
        each.external = False
    return ends


def delete_during_a_change(stack: Stack) -> tuple[str, set[str]]:
    instance_id, _ = _change(stack, public=True)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def restart(stack: Stack) -> tuple[str, set[str]]:
    instance, _ = stack.create()
    stack.settle()
    stack.accept(instance.id, RESTART)
    return instance.id, {Status.ACTIVE}


def upgrade_agent(stack: Stack, kind: Kind = Kind.SOUND) -> tuple[str, set[str]]:
    instance, _ = stack.create()
    stack.settle()
    (bundle, *_) = [each for each in BUNDLES if each.kind is kind]
    stack.accept(instance.id, UPGRADE_AGENT, msgspec.to_builtins(bundle.asked))
    return instance.id, {Status.ACTIVE}


def upgrade_agent_to_one_that_dies(stack: Stack) -> tuple[str, set[str]]:
    return upgrade_agent(stack, Kind.DIES)


def delete_during_an_upgrade_of_the_agent(stack: Stack) -> tuple[str, set[str]]:
    instance_id, _ = upgrade_agent(stack, Kind.SILENT)
    stack.run(40)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def restart_whose_undoing_asks(stack: Stack) -> tuple[str, set[str]]:
    """Its guest fails once, so that the undoing is answered."""
    asking_back.install(stack.patch)
    stack.machines.create_all(template.flows(), TASK_MANAGERS)
    instance_id, _ = restart(stack)
    (guest,) = stack.guests.values()
    guest.failing["restart"] = ["the database does not stop"]
    return instance_id, {Status.ACTIVE}


def delete_during_a_restart_that_hangs(stack: Stack) -> tuple[str, set[str]]:
    instance_id, _ = restart(stack)
    (guest,) = stack.guests.values()
    guest.silent = True
    stack.run(5)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def _resize(stack: Stack, size: int = 5) -> str:
    instance, _ = stack.create()
    stack.settle()
    holds = {**instances.get_instance(instance.id).held, "volumes": size}
    stack.accept(instance.id, RESIZE_VOLUME, {"volume_size": size}, holds=holds)
    return instance.id


def resize_volume(stack: Stack) -> tuple[str, set[str]]:
    return _resize(stack), {Status.ACTIVE}


def resize_volume_below_a_guest_that_fails(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _resize(stack)
    (guest,) = stack.guests.values()
    guest.failure = "resize2fs failed on the volume"
    return instance_id, {Status.ACTIVE}


def resize_volume_beyond_the_clouds_quota(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _resize(stack)
    stack.refusals["volumes.extend"] = Refused("allowed gigabytes quota")
    return instance_id, {Status.ACTIVE}


def resize_volume_of_a_cloud_that_extends_none_in_use(stack: Stack) -> tuple[str, set[str]]:
    stack.spoil("volume", "extend_volume", "not_in_use", times=ALWAYS)
    return _resize(stack), {Status.ACTIVE}


def resize_volume_that_fails_beside_its_server(stack: Stack) -> tuple[str, set[str]]:
    """It is back in its server, which is on, with the size that it had."""
    instance_id = _resize(stack)
    stack.spoil("volume", "extend_volume", "not_in_use")
    stack.spoil("volume", "extend_volume", "quota", times=ALWAYS)
    return instance_id, {Status.ACTIVE}


def delete_during_a_resize_beside_its_server(stack: Stack) -> tuple[str, set[str]]:
    stack.spoil("volume", "extend_volume", "not_in_use", times=ALWAYS)
    instance_id = _resize(stack)
    stack.run(3)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def delete_during_a_resize(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _resize(stack)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def _to_another_flavor(stack: Stack) -> str:
    instance, _ = stack.create()
    stack.settle()
    resizes.resize(stack, instance.id)
    return instance.id


def resize_flavor(stack: Stack) -> tuple[str, set[str]]:
    return _to_another_flavor(stack), {Status.ACTIVE}


def resize_flavor_that_the_cloud_confirms_by_itself(stack: Stack) -> tuple[str, set[str]]:
    stack.cloud.compute._lifecycle.confirm_seconds = 0.5
    return _to_another_flavor(stack), {Status.ACTIVE}


def resize_flavor_that_nova_refuses(stack: Stack) -> tuple[str, set[str]]:
    stack.refusals["servers.resize"] = Refused("Quota exceeded for ram")
    return _to_another_flavor(stack), {Status.ACTIVE}


def resize_flavor_that_no_host_takes(stack: Stack) -> tuple[str, set[str]]:
    stack.spoil("compute", "resize_server", "left_as_it_was", times=ALWAYS)
    return _to_another_flavor(stack), {Status.ACTIVE}


def resize_flavor_that_ends_in_error(stack: Stack) -> tuple[str, set[str]]:
    """The way back is a resize too, which then is well."""

    stack.spoil("compute", "resize_server", "error")
    return _to_another_flavor(stack), {Status.ACTIVE}


def start_after_a_resize_that_was_stuck(stack: Stack) -> tuple[str, set[str]]:
    """Nova gets on when it was given up."""
    stack.spoil("compute", "resize_server", "stuck")
    instance_id = _to_another_flavor(stack)
    stack.settle()
    assert instances.get_instance(instance_id).status == Status.ERROR
    stack.go_on_with_the_resize(resizes.MORE.id, confirmed=False)
    stack.accept(instance_id, START)
    return instance_id, {Status.ACTIVE, Status.STOPPED}


def resize_flavor_whose_database_does_not_start(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _to_another_flavor(stack)
    (guest,) = stack.guests.values()
    guest.failing["start_db_with_conf_changes"] = ["out of memory"]
    return instance_id, {Status.ACTIVE}


def delete_during_a_resize_of_the_flavor(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _to_another_flavor(stack)
    stack.run(3)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def _migrate(stack: Stack, host: str | None = None) -> str:
    instance, _ = stack.create()
    stack.settle()
    flavor, epoch = {"ram": 512, "vcpus": 1}, instances.epoch_of(instance.id)
    stack.accept(instance.id, MIGRATE, {"host": host, "flavor": flavor, "epoch": epoch})
    return instance.id


def migrate(stack: Stack) -> tuple[str, set[str]]:
    return _migrate(stack), {Status.ACTIVE}


def migrate_that_the_cloud_confirms_by_itself(stack: Stack) -> tuple[str, set[str]]:
    stack.cloud.compute._lifecycle.confirm_seconds = 0.5
    return _migrate(stack), {Status.ACTIVE}


def migrate_to_a_host_that_is_none(stack: Stack) -> tuple[str, set[str]]:
    return _migrate(stack, "nowhere"), {Status.ACTIVE}


def migrate_whose_database_does_not_start(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _migrate(stack)
    (guest,) = stack.guests.values()
    guest.failing["start_db_with_conf_changes"] = ["no such device"]
    return instance_id, {Status.ACTIVE}


def delete_during_a_migration(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _migrate(stack)
    stack.run(3)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def _power(stack: Stack, *flows: Flow) -> str:
    instance, _ = stack.create()
    stack.settle()
    for flow in flows[:-1]:
        stack.accept(instance.id, flow)
        stack.settle()
    stack.accept(instance.id, flows[-1])
    return instance.id


def stop(stack: Stack) -> tuple[str, set[str]]:
    return _power(stack, STOP), {Status.STOPPED, Status.ACTIVE}


def stop_of_a_database_that_hangs(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _power(stack, STOP)
    (guest,) = stack.guests.values()
    guest.failure = "the database does not stop"
    return instance_id, {Status.ACTIVE}


def start(stack: Stack) -> tuple[str, set[str]]:
    return _power(stack, STOP, START), {Status.ACTIVE, Status.STOPPED}


def start_on_a_cloud_without_room(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _power(stack, STOP, START)
    stack.refusals["servers.start"] = Refused("No valid host was found")
    return instance_id, {Status.STOPPED}


def start_after_a_stop_that_failed(stack: Stack) -> tuple[str, set[str]]:
    instance_id, _ = stop_of_a_database_that_hangs(stack)
    stack.refusals["servers.start"] = CloudAway("The cloud could not start the server")
    stack.settle()
    assert instances.get_instance(instance_id).status == Status.ERROR
    stack.refusals.clear()
    stack.accept(instance_id, START)
    return instance_id, {Status.ACTIVE, Status.STOPPED}


def reboot(stack: Stack) -> tuple[str, set[str]]:
    return _power(stack, REBOOT), {Status.ACTIVE}


def _rebuild(stack: Stack, image_id: str = IMAGE) -> str:
    instance, _ = stack.create()
    stack.settle()
    stack.accept(instance.id, REBUILD, {"image_id": image_id, "was": "ACTIVE"})
    return instance.id


def rebuild(stack: Stack) -> tuple[str, set[str]]:
    return _rebuild(stack), {Status.ACTIVE}


def _rebuild_stopped(stack: Stack, image_id: str = IMAGE) -> str:
    instance_id = _power(stack, STOP)
    stack.settle()
    arguments = {"image_id": image_id, "was": "STOPPED"}
    stack.accept(instance_id, REBUILD_STOPPED, arguments)
    return instance_id


def rebuild_while_stopped(stack: Stack) -> tuple[str, set[str]]:
    return _rebuild_stopped(stack), {Status.STOPPED}


def rebuild_while_stopped_on_an_image_that_is_gone(stack: Stack) -> tuple[str, set[str]]:
    return _rebuild_stopped(stack, "no such image"), {Status.STOPPED}


def rebuild_while_stopped_whose_database_does_not_stop(stack: Stack) -> tuple[str, set[str]]:
    def fail(guest: Script) -> None:
        guest.failing["stop_db"] = ["the database does not stop"]

    instance_id = _rebuild_stopped(stack)
    stack.guests.on_guest = fail
    return instance_id, {Status.STOPPED}


def rebuild_on_an_image_that_is_gone(stack: Stack) -> tuple[str, set[str]]:
    return _rebuild(stack, "no such image"), {Status.ACTIVE}


def rebuild_that_nova_refuses(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _rebuild(stack)
    stack.refusals["servers.rebuild"] = Refused("Flavor's disk is too small for the image")
    return instance_id, {Status.ERROR}


def rebuild_whose_new_guest_fails(stack: Stack) -> tuple[str, set[str]]:
    def fail(guest: Script) -> None:
        guest.failure = "the volume holds no data"

    instance_id = _rebuild(stack)
    stack.guests.on_guest = fail
    return instance_id, {Status.ERROR}


def rebuild_of_a_server_that_is_gone(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _rebuild(stack)
    for server in list(stack.cloud.compute.servers.values()):
        stack.cloud.compute._lifecycle.vanish(server)
    return instance_id, {Status.ACTIVE}


def rebuild_of_a_server_that_is_gone_without_hosts(stack: Stack) -> tuple[str, set[str]]:
    instance_id, _ = rebuild_of_a_server_that_is_gone(stack)
    stack.spoil("compute", "create_server", "error", times=ALWAYS)
    return instance_id, {Status.ERROR}


def rebuild_after_one_that_failed(stack: Stack) -> tuple[str, set[str]]:
    instance_id, _ = rebuild_that_nova_refuses(stack)
    stack.settle()
    stack.refusals.clear()
    stack.accept(instance_id, REBUILD, {"image_id": IMAGE, "was": "ERROR"})
    return instance_id, {Status.ACTIVE}


def rebuild_of_a_server_that_asked(stack: Stack) -> tuple[str, set[str]]:
    """Nova has given it a new disk behind our back, and its old guest is silent.

    Where its question dies half-way the instance stays as it is, until the next question.
    """
    instance, _ = stack.create()
    stack.settle()
    (server,) = stack.servers
    stack.cloud.compute.evacuate(server.id)
    late = stack.kernel.now + ASKED_WITHIN_SECONDS
    stack.expects = lambda: (
        stack.kernel.now < late and instances.get_instance(instance.id).generation == 1
    )
    return instance.id, {Status.ACTIVE}


def delete_during_a_rebuild(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _rebuild(stack)
    stack.run(2)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def _upgrade(stack: Stack, **failing: str) -> str:
    """The next guest, on the new version's image, fails what is named."""

    def fail(guest: Script) -> None:
        guest.failing = {name: [said] for name, said in failing.items()}

    instance, _ = stack.create()
    stack.settle()
    stack.guests.on_guest = fail
    stack.accept(instance.id, UPGRADE, {"version": VERSION})
    return instance.id


def upgrade(stack: Stack) -> tuple[str, set[str]]:
    return _upgrade(stack), {Status.ACTIVE}


def upgrade_whose_engine_does_not_start(stack: Stack) -> tuple[str, set[str]]:
    return _upgrade(stack, upgrade="the database ended with exit code 1"), {Status.ACTIVE}


def upgrade_that_nova_refuses(stack: Stack) -> tuple[str, set[str]]:
    """It takes the server back on the image of before."""
    real = servers.rebuild

    def refuse(server_id: str, **wanted: Any) -> None:
        if wanted["image_id"] == VERSION["image"]["id"]:
            raise Refused("Flavor's disk is too small for the image")
        real(server_id, **wanted)

    stack.patch.setattr(servers, "rebuild", refuse)
    return _upgrade(stack), {Status.ACTIVE}


def upgrade_that_fails_on_both_ways(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _upgrade(stack, upgrade="it does not start", rebuild="nor does this one")
    return instance_id, {Status.ERROR}


def delete_during_the_way_back_of_an_upgrade(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _upgrade(stack, upgrade="it does not start")
    stack.run(3)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def delete_during_a_stop(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _power(stack, STOP)
    stack.run(2)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


SCENARIOS: tuple[Scenario, ...] = (
    create,
    create_on_a_cloud_without_hosts,
    create_with_a_guest_that_fails,
    delete,
    delete_by_force_during_create,
    delete_by_force_while_the_guest_prepares,
    create_whose_place_is_taken,
    open_to_the_public,
    close_to_the_public,
    open_without_an_external_network,
    delete_during_a_change,
    restart,
    restart_whose_undoing_asks,
    delete_during_a_restart_that_hangs,
    upgrade_agent,
    upgrade_agent_to_one_that_dies,
    delete_during_an_upgrade_of_the_agent,
    resize_volume,
    resize_volume_below_a_guest_that_fails,
    resize_volume_beyond_the_clouds_quota,
    resize_volume_of_a_cloud_that_extends_none_in_use,
    resize_volume_that_fails_beside_its_server,
    delete_during_a_resize_beside_its_server,
    delete_during_a_resize,
    resize_flavor,
    resize_flavor_that_the_cloud_confirms_by_itself,
    resize_flavor_that_nova_refuses,
    resize_flavor_that_no_host_takes,
    resize_flavor_that_ends_in_error,
    start_after_a_resize_that_was_stuck,
    resize_flavor_whose_database_does_not_start,
    delete_during_a_resize_of_the_flavor,
    migrate,
    migrate_that_the_cloud_confirms_by_itself,
    migrate_to_a_host_that_is_none,
    migrate_whose_database_does_not_start,
    delete_during_a_migration,
    stop,
    stop_of_a_database_that_hangs,
    start,
    start_on_a_cloud_without_room,
    reboot,
    start_after_a_stop_that_failed,
    delete_during_a_stop,
    rebuild,
    rebuild_on_an_image_that_is_gone,
    rebuild_that_nova_refuses,
    rebuild_whose_new_guest_fails,
    rebuild_after_one_that_failed,
    rebuild_of_a_server_that_is_gone,
    rebuild_of_a_server_that_is_gone_without_hosts,
    rebuild_of_a_server_that_asked,
    delete_during_a_rebuild,
    rebuild_while_stopped,
    rebuild_while_stopped_on_an_image_that_is_gone,
    rebuild_while_stopped_whose_database_does_not_stop,
    upgrade,
    upgrade_whose_engine_does_not_start,
    upgrade_that_nova_refuses,
    upgrade_that_fails_on_both_ways,
    delete_during_the_way_back_of_an_upgrade,
    *BACKUPS,
    *SNAPSHOTS,
)
"""Those that have most of their steps in common stand together."""
