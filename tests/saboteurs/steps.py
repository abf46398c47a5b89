"""Bugs of the steps: leases, records, what is made and what is taken away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib import aws
from chalicelib.cloud import names as cloud_names
from chalicelib.cloud import network as cloud_network
from chalicelib.cloud import server_groups as cloud_groups
from chalicelib.cloud import servers as cloud_servers
from chalicelib.cloud import volumes as cloud_volumes
from chalicelib.domain.flows import REMOVALS
from chalicelib.domain.operations import STARTABLE
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import base, guests, instances, operations
from chalicelib.store.models import Instance, Operation
from functions import (
    access,
    create_instance,
    handler,
    maintenance,
    orphans,
    placement,
    power,
    remove,
    step,
)
from functions.outcomes import Done
from functions.step import Step
from simulator.cloud_functions.stand_ins import StandIns
from tests.saboteurs.registry import Instead, Patch, nothing, saboteur


@saboteur("twins", "I3")
def no_lease(patch: Patch) -> None:
    """A step does not ask whether another worker holds its lease."""
    original = base.update_if

    def update(row: Operation, actions: list[Any], condition: Any) -> None:
        if "lease_until" in str(condition):
            condition = Operation.status.is_in(*STARTABLE)
        original(row, actions, condition)

    patch.setattr(operations, "update_if", update)


@saboteur("twins", "I1", "I3")
def steps_of_ended_operations(patch: Patch) -> None:
    """A step runs although its operation has ended."""
    original = base.update_if

    def update(row: Operation, actions: list[Any], condition: Any) -> None:
        if "lease_until" in str(condition):
            now = aws.clock()
            condition = Operation.lease_until.does_not_exist() | (Operation.lease_until < now)
        original(row, actions, condition)

    patch.setattr(operations, "update_if", update)


@saboteur("crashes", "I4", "L2")
def recorded_before_it_was_done(patch: Patch) -> None:
    """A removal is recorded before its effect: whoever dies between leaves the thing behind."""
    original = step._refusal

    def refusal(operation: Operation, name: str, run: Any) -> Any:
        if name in REMOVALS:
            now = aws.clock()
            operation.update(actions=[Operation.ended[name].set(now)])
        return original(operation, name, run)

    patch.setattr(step, "_refusal", refusal)


@saboteur("crashes", "I4", "L2", seeds=20)
def volumes_made_without_a_look(patch: Patch) -> None:
    """The step makes a volume without looking for one that a dead worker has left."""
    patch.setattr(create_instance, "volumes", Instead(cloud_volumes, find=nothing))


@saboteur("unknown results", "I4", "L2", seeds=20)
def servers_made_without_a_look(patch: Patch) -> None:
    """The step boots a server without looking for the one before, until it is ACTIVE."""
    original = cloud_servers

    def find(pattern: str) -> list[Any]:
        return [each for each in original.find(pattern) if each.status == "ACTIVE"][:1]

    patch.setattr(create_instance, "servers", Instead(original, find=find))


@saboteur("crashes", "I4", "L2", seeds=20)
def ports_made_without_a_look(patch: Patch) -> None:
    """The step makes a port without looking for one that a dead worker has left."""
    patch.setattr(create_instance, "network", Instead(cloud_network, find_ports=nothing))


@saboteur("calm", "I4")
def a_compensation_forgotten(patch: Patch) -> None:
    """The removals leave the security group behind."""
    original = cloud_network
    patch.setattr(remove, "network", Instead(original, find_security_groups=nothing))


@saboteur("calm", "I4")
def a_volume_not_waited_for(patch: Patch) -> None:
    """The removal of volumes deletes only those that are available, and calls the rest done."""

    def find(instance_id: str, *, kept: bool = False) -> list[Any]:
        found: Iterable[Any] = original.find(instance_id, kept=kept)
        return [each for each in found if each.status == "error"]

    original = cloud_volumes
    patch.setattr(remove, "volumes", Instead(original, find=find))


@saboteur("calm", "L2")
def a_guests_key_kept(patch: Patch) -> None:
    """The guest's key outlives its instance, so that it could come back."""
    patch.setattr(guests, "forget", lambda *_: None)


@saboteur("calm", "I16", "L2", "L3", "I4")
def orphans_of_the_living(patch: Patch) -> None:
    """The look for leftovers takes what a live instance owns for one."""
    patch.setattr(orphans, "_gone_for", lambda row: 30 * 86400.0)
    patch.setattr(orphans, "PLAUSIBLE_SHARE", 1.0)


@saboteur("restored", "I16", "L2", "L3")
def an_unknown_instance_is_an_orphan(patch: Patch) -> None:
    """What carries the mark and has no row is removed, as if a row were all there is to know."""

    def find_instances(instance_ids: Iterable[str]) -> dict[str, Instance]:
        gone = Instance(status=Status.DELETED, deleted_at=0.0)
        return dict.fromkeys(instance_ids, gone) | instances.find_instances(instance_ids)

    patch.setattr(orphans, "instances", Instead(instances, find_instances=find_instances))
    patch.setattr(orphans, "PLAUSIBLE_SHARE", 1.0)


@saboteur("restored", "L2", "L3", "I5", "I13")
def nothing_adopted(patch: Patch) -> None:
    """After a restore the operator only puts the rows right that are there."""
    patch.setitem(maintenance.JOBS, "adopt", lambda event: {"told": [], "next": None})


@saboteur("restored", "I5")
def quotas_not_counted_again(patch: Patch) -> None:
    """After a restore the counters stay as they are."""
    patch.setitem(maintenance.JOBS, "recount_quotas", lambda event: {"told": [], "next": None})


@saboteur("restored", "I3", "L1", "L3", "I5")
def rows_left_as_restored(patch: Patch) -> None:
    """After a restore no row learns what has become of its operation since."""
    patch.setitem(maintenance.JOBS, "restore_rows", lambda event: {"told": [], "next": None})


@saboteur("namesakes", "I16", "L2", "I4")
def a_name_is_proof(patch: Patch) -> None:
    """What bears an instance's name is the instance's, whichever deployment its mark names."""

    def described(_: object, project_id: str, text: str) -> str | None:
        return text.removeprefix("Database instance ").partition(" of ")[0] or None

    def marked(_: object, project_id: str, metadata: Mapping[str, str]) -> str | None:
        return metadata.get(cloud_names.INSTANCE_KEY)

    patch.setattr(StandIns, "described", described)
    patch.setattr(StandIns, "marked", marked)


@saboteur("liars", "I4", "L2", seeds=10)
def a_404_believed(patch: Patch) -> None:
    """The removal of ports and groups does not look again whether they are gone."""

    def ports_and_groups(operation: Operation, _: str | None) -> Done:
        owner = operation.instance_id
        for port in cloud_network.find_ports(owner):
            cloud_network.delete_port(port.id)
        for group in cloud_network.find_security_groups(owner):
            cloud_network.delete_security_group(group.id)
        return Done()

    patch.setitem(handler.CLOUD_STEPS, "remove_network", Step(ports_and_groups, backwards=True))


@saboteur("access", "I15")
def rules_that_stay(patch: Patch) -> None:
    """A change of the access leaves open what it was told to close, and does not look again."""
    patch.setattr(access, "network", Instead(cloud_network, delete_rule=nothing))
    patch.setattr(access, "holds", lambda *_: True)


@saboteur("taken back", "I15")
def a_change_that_is_not_taken_back(patch: Patch) -> None:
    """The undoing of a change believes that there is nothing to undo."""
    patch.setitem(
        handler.CLOUD_STEPS, "update_access.restore", Step(lambda *_: Done(), backwards=True)
    )


@saboteur("access", "L2")
def public_addresses_left(patch: Patch) -> None:
    """A removal forgets the public address: nobody gives it back to the cloud."""
    patch.setattr(remove, "network", Instead(cloud_network, find_floating_addresses=nothing))


@saboteur("calm", "I4")
def server_groups_left(patch: Patch) -> None:
    """A removal forgets the server group, of which Nova lets a project have few."""
    patch.setattr(remove, "server_groups", Instead(cloud_groups, find=nothing))


@saboteur("access", "I4", "I15", "L2", seeds=20)
def public_addresses_made_without_a_look(patch: Patch) -> None:
    """The step makes a public address without looking for one that a dead worker has left."""
    patch.setattr(access, "network", Instead(cloud_network, find_floating_addresses=nothing))


@saboteur("resizes", "I22")
def a_file_system_that_stays_small(patch: Patch) -> None:
    """A resize ends when Cinder is done; nobody tells the guest."""
    patch.setitem(handler.LOCAL_STEPS, "resize_volume.grow", Step(lambda *_: Done()))


@saboteur("resizes", "I22", seeds=20)
def a_server_switched_on_without_its_volume(patch: Patch) -> None:
    """Whoever switches a server on does not look whether its volume is in it."""
    patch.setattr(power, "_switch_on", lambda _, found: cloud_servers.start(found.id))


@saboteur("flavors", "I23")
def settings_of_another_flavor(patch: Patch) -> None:
    """A resize of the flavor ends when Nova is done; nobody tells the database."""
    patch.setitem(handler.LOCAL_STEPS, "resize_flavor.settings", Step(lambda *_: Done()))


@saboteur("flavors", "I23")
def a_flavor_that_is_never_confirmed(patch: Patch) -> None:
    """A resize of the flavor ends while Nova still waits for its confirmation."""
    patch.setitem(handler.CLOUD_STEPS, "resize_flavor.confirm", Step(lambda *_: Done()))


@saboteur("flavors", "I23")
def a_flavor_that_is_not_taken_back(patch: Patch) -> None:
    """A resize of the flavor that failed leaves its server as it is."""
    for name in ("revert", "come_back"):
        step = Step(lambda *_: Done(), backwards=True)
        patch.setitem(handler.CLOUD_STEPS, f"resize_flavor.{name}", step)


@saboteur("moves", "I28")
def a_migration_that_nobody_asks_for(patch: Patch) -> None:
    """A migration ends when the database runs again; nobody asks Nova."""
    patch.setitem(handler.CLOUD_STEPS, "migrate_instance.migrate", Step(lambda *_: Done()))
    patch.setitem(handler.CLOUD_STEPS, "migrate_instance.confirm", Step(lambda *_: Done()))


@saboteur("moves", "I23")
def a_migration_that_is_not_taken_back(patch: Patch) -> None:
    """A migration that failed leaves its server where it is, to be confirmed."""
    for name in ("revert", "come_back"):
        step = Step(lambda *_: Done(), backwards=True)
        patch.setitem(handler.CLOUD_STEPS, f"migrate_instance.{name}", step)


@saboteur("power", "L3")
def a_stop_that_leaves_the_server_running(patch: Patch) -> None:
    """A stop ends when the database has; nobody asks Nova."""
    patch.setitem(handler.CLOUD_STEPS, "stop_instance.power_off", Step(lambda *_: Done()))


@saboteur("left over", "L2", seeds=1)
def addresses_that_nobody_looks_for(patch: Patch) -> None:
    """The look for leftovers does not know of floating addresses."""
    known = tuple(each for each in orphans._KINDS if each.name != "floating IP")
    patch.setattr(orphans, "_KINDS", known)


@saboteur("calm", "I45")
def a_network_that_nobody_asked_for(patch: Patch) -> None:
    """Every instance goes to the operator's network, whatever its tenant has chosen."""
    patch.setattr(placement, "of_port", lambda _: placement.Place(settings().network_id))
