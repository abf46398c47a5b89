"""Every flow with a fault at its k-th effect, for every k: it still ends whole.

An effect is a call that leaves the process: of an AWS client, or of the cloud. At each the process
may be killed right after it (which is before the next one), the reply may be lost (botocore sends
it again; a call of the cloud comes back as an error after its effect), or it may be refused.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from chalicelib import aws
from chalicelib.bus.envelope import Fault as GuestFault
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
    Flow,
)
from chalicelib.lifecycle import Status
from chalicelib.store import instances
from chalicelib.store.models import TABLES
from tests.support import asking_back
from tests.support import resizes_in_memory as resizes
from tests.support.guest import FakeGuest
from tests.support.stack import Stack
from tests.support.world import ENVIRONMENT, Fault, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The one whose effects are counted, and hit."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    made = World(TABLES)
    previous = aws.install(made)
    yield made
    aws.install(previous)


Scenario = Callable[[Stack], tuple[str, set[str]]]
"""Prepares a stack up to the hint, and names the instance and the statuses it may end in."""


def create(stack: Stack) -> tuple[str, set[str]]:
    return stack.create()[0].id, {Status.ACTIVE, Status.ERROR}


def create_on_a_cloud_without_hosts(stack: Stack) -> tuple[str, set[str]]:
    stack.cloud.servers_become = "ERROR"
    return stack.create()[0].id, {Status.ERROR}


def create_with_a_guest_that_fails(stack: Stack) -> tuple[str, set[str]]:
    def fail(guest: object) -> None:
        guest.failure = GuestFault("GuestError", "no space left")  # type: ignore[attr-defined]

    stack.on_guest = fail
    return stack.create()[0].id, {Status.ERROR}


def delete(stack: Stack) -> tuple[str, set[str]]:
    instance, _ = stack.create()
    stack.settle()
    stack.delete(instance.id)
    return instance.id, {Status.DELETED}


def delete_by_force_during_create(stack: Stack) -> tuple[str, set[str]]:
    instance, _ = stack.create()
    stack.settle(until=stack.world.now + 2)
    stack.force_delete(instance.id)
    return instance.id, {Status.DELETED}


def delete_by_force_while_the_guest_prepares(stack: Stack) -> tuple[str, set[str]]:
    stack.on_guest = lambda guest: setattr(guest, "silent", True)
    instance, _operation = stack.create()
    stack.settle(until=stack.world.now + 8)
    stack.force_delete(instance.id)
    return instance.id, {Status.DELETED}


def create_whose_place_is_taken(stack: Stack) -> tuple[str, set[str]]:
    """Another server enrols with the create's token; its own is refused while `prepare` waits."""

    def come_second(guest: FakeGuest) -> None:
        extra = copy.copy(guest)
        extra.server_id = "extra"
        while extra.admission is None:
            assert extra.refusal is None, "one fault is no verdict on its place"
            extra.next_try = stack.world.now
            extra.tick()
        guest.next_try = stack.world.now + 10

    stack.on_guest = come_second
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
    stack.cloud.external = None
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


def restart_whose_undoing_asks(stack: Stack) -> tuple[str, set[str]]:
    """Its guest fails once, so that the undoing is answered."""
    asking_back.install(stack.patch)
    instance_id, _ = restart(stack)
    (guest,) = stack.guests.values()
    guest.failing["restart"] = [GuestFault("GuestError", "the database does not stop")]
    return instance_id, {Status.ACTIVE}


def delete_during_a_restart_that_hangs(stack: Stack) -> tuple[str, set[str]]:
    instance_id, _ = restart(stack)
    (guest,) = stack.guests.values()
    guest.silent = True
    stack.settle(until=stack.world.now + 5)
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
    guest.failure = GuestFault("GuestError", "resize2fs failed on the volume")
    return instance_id, {Status.ACTIVE}


def resize_volume_beyond_the_clouds_quota(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _resize(stack)
    stack.cloud.refusals["volumes.extend"] = Refused("allowed gigabytes quota")
    return instance_id, {Status.ACTIVE}


def resize_volume_of_a_cloud_that_extends_none_in_use(stack: Stack) -> tuple[str, set[str]]:
    stack.cloud.extends_in_use = "refused"
    return _resize(stack), {Status.ACTIVE}


def resize_volume_that_fails_beside_its_server(stack: Stack) -> tuple[str, set[str]]:
    """It is back in its server, which is on, with the size that it had."""
    instance_id = _resize(stack)
    stack.cloud.extends_in_use = "never"
    return instance_id, {Status.ACTIVE}


def delete_during_a_resize_beside_its_server(stack: Stack) -> tuple[str, set[str]]:
    stack.cloud.extends_in_use = "refused"
    instance_id = _resize(stack)
    stack.settle(until=stack.world.now + 3)
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
    stack.cloud.confirms_by_itself = True
    return _to_another_flavor(stack), {Status.ACTIVE}


def resize_flavor_that_nova_refuses(stack: Stack) -> tuple[str, set[str]]:
    stack.cloud.refusals["servers.resize"] = Refused("Quota exceeded for ram")
    return _to_another_flavor(stack), {Status.ACTIVE}


def resize_flavor_that_no_host_takes(stack: Stack) -> tuple[str, set[str]]:
    stack.cloud.resizes_end = "left"
    return _to_another_flavor(stack), {Status.ACTIVE}


def resize_flavor_that_ends_in_error(stack: Stack) -> tuple[str, set[str]]:
    """The way back is a resize too, which then is well."""

    def mended() -> None:
        stack.cloud.resizes_end = None

    stack.cloud.resizes_end = "ERROR"
    stack.cloud.after_a_resize = mended
    return _to_another_flavor(stack), {Status.ACTIVE}


def start_after_a_resize_that_was_stuck(stack: Stack) -> tuple[str, set[str]]:
    """Nova gets on when it was given up."""
    stack.cloud.resizes_end = "RESIZE"
    instance_id = _to_another_flavor(stack)
    stack.settle()
    assert instances.get_instance(instance_id).status == Status.ERROR
    (server,) = stack.cloud.things["server"].values()
    left = {"flavor_id": "1", "host": "h1"}
    server.facts.update(left=left, flavor_id="2", boots=1, resize="VERIFY_RESIZE")
    stack.accept(instance_id, START)
    return instance_id, {Status.ACTIVE, Status.STOPPED}


def resize_flavor_whose_database_does_not_start(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _to_another_flavor(stack)
    (guest,) = stack.guests.values()
    guest.failing["start_db_with_conf_changes"] = [GuestFault("GuestError", "out of memory")]
    return instance_id, {Status.ACTIVE}


def delete_during_a_resize_of_the_flavor(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _to_another_flavor(stack)
    stack.settle(until=stack.world.now + 3)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def _migrate(stack: Stack, host: str | None = None) -> str:
    instance, _ = stack.create()
    stack.settle()
    resizes.know_flavors(stack)
    flavor, epoch = {"ram": 512, "vcpus": 1}, instances.epoch_of(instance.id)
    stack.accept(instance.id, MIGRATE, {"host": host, "flavor": flavor, "epoch": epoch})
    return instance.id


def migrate(stack: Stack) -> tuple[str, set[str]]:
    return _migrate(stack), {Status.ACTIVE}


def migrate_that_the_cloud_confirms_by_itself(stack: Stack) -> tuple[str, set[str]]:
    stack.cloud.confirms_by_itself = True
    return _migrate(stack), {Status.ACTIVE}


def migrate_to_a_host_that_is_none(stack: Stack) -> tuple[str, set[str]]:
    return _migrate(stack, "nowhere"), {Status.ACTIVE}


def migrate_whose_database_does_not_start(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _migrate(stack)
    (guest,) = stack.guests.values()
    guest.failing["start_db_with_conf_changes"] = [GuestFault("GuestError", "no such device")]
    return instance_id, {Status.ACTIVE}


def delete_during_a_migration(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _migrate(stack)
    stack.settle(until=stack.world.now + 3)
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
    guest.failure = GuestFault("GuestError", "the database does not stop")
    return instance_id, {Status.ACTIVE}


def start(stack: Stack) -> tuple[str, set[str]]:
    return _power(stack, STOP, START), {Status.ACTIVE, Status.STOPPED}


def start_on_a_cloud_without_room(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _power(stack, STOP, START)
    stack.cloud.refusals["servers.start"] = Refused("No valid host was found")
    return instance_id, {Status.STOPPED}


def start_after_a_stop_that_failed(stack: Stack) -> tuple[str, set[str]]:
    instance_id, _ = stop_of_a_database_that_hangs(stack)
    stack.cloud.refusals["servers.start"] = CloudAway("The cloud could not start the server")
    stack.settle()
    assert instances.get_instance(instance_id).status == Status.ERROR
    stack.cloud.refusals.clear()
    stack.accept(instance_id, START)
    return instance_id, {Status.ACTIVE, Status.STOPPED}


def reboot(stack: Stack) -> tuple[str, set[str]]:
    return _power(stack, REBOOT), {Status.ACTIVE}


def _rebuild(stack: Stack, image_id: str = "image-2") -> str:
    instance, _ = stack.create()
    stack.settle()
    stack.accept(instance.id, REBUILD, {"image_id": image_id, "was": "ACTIVE"})
    return instance.id


def rebuild(stack: Stack) -> tuple[str, set[str]]:
    return _rebuild(stack), {Status.ACTIVE}


def _rebuild_stopped(stack: Stack, image_id: str = "image-2") -> str:
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
    def fail(guest: FakeGuest) -> None:
        guest.failing["stop_db"] = [GuestFault("GuestError", "the database does not stop")]

    instance_id = _rebuild_stopped(stack)
    stack.on_guest = fail
    return instance_id, {Status.STOPPED}


def rebuild_on_an_image_that_is_gone(stack: Stack) -> tuple[str, set[str]]:
    return _rebuild(stack, "no such image"), {Status.ACTIVE}


def rebuild_that_nova_refuses(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _rebuild(stack)
    stack.cloud.refusals["servers.rebuild"] = Refused("Flavor's disk is too small for the image")
    return instance_id, {Status.ERROR}


def rebuild_whose_new_guest_fails(stack: Stack) -> tuple[str, set[str]]:
    def fail(guest: FakeGuest) -> None:
        guest.failure = GuestFault("GuestError", "the volume holds no data")

    instance_id = _rebuild(stack)
    stack.on_guest = fail
    return instance_id, {Status.ERROR}


def rebuild_after_one_that_failed(stack: Stack) -> tuple[str, set[str]]:
    instance_id, _ = rebuild_that_nova_refuses(stack)
    stack.settle()
    stack.cloud.refusals.clear()
    stack.accept(instance_id, REBUILD, {"image_id": "image-2", "was": "ERROR"})
    return instance_id, {Status.ACTIVE}


def rebuild_of_a_server_that_asked(stack: Stack) -> tuple[str, set[str]]:
    """Nova has given it a new disk behind our back, and its old guest is silent.

    Where its question dies half-way the instance stays as it is, until the next question.
    """
    instance, _ = stack.create()
    stack.settle()
    (server,) = stack.cloud.running()
    stack.cloud.replace_disk(server.id)
    stack.world.now += 400
    return instance.id, {Status.ACTIVE}


def delete_during_a_rebuild(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _rebuild(stack)
    stack.settle(until=stack.world.now + 2)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


VERSION: Final[dict[str, Any]] = {
    "id": "v-2",
    "name": "10.11.9",
    "number": "10.11.9",
    "image": {"id": "image-2", "tags": []},
}
"""What an upgrade is to."""


def _upgrade(stack: Stack, **failing: str) -> str:
    """The next guest, on the new version's image, fails what is named."""

    def fail(guest: FakeGuest) -> None:
        guest.failing = {name: [GuestFault("GuestError", said)] for name, said in failing.items()}

    instance, _ = stack.create()
    stack.settle()
    stack.on_guest = fail
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
    stack.settle(until=stack.world.now + 3)
    stack.delete(instance_id)
    return instance_id, {Status.DELETED}


def delete_during_a_stop(stack: Stack) -> tuple[str, set[str]]:
    instance_id = _power(stack, STOP)
    stack.settle(until=stack.world.now + 2)
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
    resize_volume,
    resize_volume_below_a_guest_that_fails,
    resize_volume_beyond_the_clouds_quota,
    resize_volume_of_a_cloud_that_extends_none_in_use,
    *(resize_volume_that_fails_beside_its_server, delete_during_a_resize_beside_its_server),
    delete_during_a_resize,
    resize_flavor,
    resize_flavor_that_the_cloud_confirms_by_itself,
    resize_flavor_that_nova_refuses,
    resize_flavor_that_no_host_takes,
    resize_flavor_that_ends_in_error,
    start_after_a_resize_that_was_stuck,
    resize_flavor_whose_database_does_not_start,
    delete_during_a_resize_of_the_flavor,
    *(migrate, migrate_that_the_cloud_confirms_by_itself, migrate_to_a_host_that_is_none),
    *(migrate_whose_database_does_not_start, delete_during_a_migration),
    *(stop, stop_of_a_database_that_hangs, start, start_on_a_cloud_without_room, reboot),
    start_after_a_stop_that_failed,
    delete_during_a_stop,
    *(rebuild, rebuild_on_an_image_that_is_gone, rebuild_that_nova_refuses),
    *(rebuild_whose_new_guest_fails, rebuild_after_one_that_failed),
    *(rebuild_while_stopped, rebuild_while_stopped_on_an_image_that_is_gone),
    rebuild_while_stopped_whose_database_does_not_stop,
    *(rebuild_of_a_server_that_asked, delete_during_a_rebuild),
    *(upgrade, upgrade_whose_engine_does_not_start, upgrade_that_nova_refuses),
    *(upgrade_that_fails_on_both_ways, delete_during_the_way_back_of_an_upgrade),
)


READS = re.compile(
    r"(dynamodb\.(GetItem|BatchGetItem|Query)|ssm|sts|stepfunctions\.describe)"
    r"|(servers|volumes|network|images)\.(find|get|newest)"
)


def run(
    world: World, patch: pytest.MonkeyPatch, scenario: Scenario, faults: dict[int, Fault]
) -> list[str]:
    """Run a scenario from the start, check how it ended, and answer its effects."""
    world.__init__(TABLES)  # type: ignore[misc]
    stack = Stack(world, patch)
    instance_id, allowed = scenario(stack)
    before = len(world.log)
    stack.run_with(faults)
    stack.check()
    row = instances.find_instance(instance_id)
    assert row is not None
    assert row.status in allowed
    return world.log[before:]


def worth_hitting(effect: str, fault: Fault) -> bool:
    """After a read all is as it was after the effect before it; a refusal by the cloud differs."""
    read = READS.match(effect)
    return read is None or (fault is Fault.REFUSED and read[1] is None)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_flow_ends_whole(
    world: World, monkeypatch: pytest.MonkeyPatch, scenario: Scenario
) -> None:
    run(world, monkeypatch, scenario, {})


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_flow_ends_whole_wherever_it_was_hit(
    world: World, monkeypatch: pytest.MonkeyPatch, scenario: Scenario, fault: Fault
) -> None:
    effects = run(world, monkeypatch, scenario, {})
    places = [at for at, effect in enumerate(effects, 1) if worth_hitting(effect, fault)]
    assert len(places) >= 7, "the shortest flow has so many"
    for place in places:
        where = f"{fault.name} at effect {place}, {effects[place - 1]}"
        try:
            hit = run(world, monkeypatch, scenario, {place: fault})
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error
        assert hit[:place] == effects[:place], "the runs must be the same up to the fault"
