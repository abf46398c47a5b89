"""Bugs of backups: chains that break, objects nobody looks at, a store lent to who needs none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from pynamodb.transactions import TransactWrite

from chalicelib import containers
from chalicelib.api import importing
from chalicelib.api.frame import Request
from chalicelib.bus.contract.arguments import StoredBackup
from chalicelib.bus.contract.manifest import StoredPart
from chalicelib.cloud import snapshots
from chalicelib.conductor import data_keys, storage
from chalicelib.conductor.data_keys import Owner
from chalicelib.domain import backups as rules
from chalicelib.domain import imports
from chalicelib.domain.backups import FAILED, PASSED, Copied
from chalicelib.domain.operations import OperationAction, OperationStatus
from chalicelib.settings import settings
from chalicelib.store import backups, ending, quotas, strategies
from chalicelib.store.ending import Ending
from chalicelib.store.ending_backups import VERDICT
from chalicelib.store.models import Backup, Instance, Operation, Subject
from functions import (
    container_objects,
    create_backup,
    create_snapshot,
    handler,
    removing_objects,
    verify_backup,
)
from functions.outcomes import Done, Outcome
from functions.step import Step
from simulator.fleet import backups as guests
from simulator.fleet.datastore import Contents
from tests.saboteurs.registry import Patch, saboteur


@saboteur("backed up", "I12")
def a_parent_that_goes_under_its_children(patch: Patch) -> None:
    """Nobody looks whether another backup builds on the one that is deleted."""
    patch.setattr(backups, "going_below", lambda row: [])


@saboteur("a bad store", "I12", seeds=10)
def a_guest_that_is_believed(patch: Patch) -> None:
    """What its guest says of a backup is not compared with what lies in the store."""

    def check(operation: Operation, _: str | None) -> Outcome:
        said = create_backup._said(operation)
        assert said is not None
        made = {"checksum": said.checksum, "size": said.size, "data_size": said.data_size}
        return Done({"backup": {**made, "position": said.position}})

    patch.setitem(handler.LOCAL_STEPS, "create_backup.check", Step(check))


@saboteur("a bad store", "I12", seeds=10)
def parts_of_which_the_size_is_enough(patch: Patch) -> None:
    """What lies in the place of a part is as long as that was, and another one."""
    patch.setattr(StoredPart, "lies_as", lambda self, size, etag: size == self.size)


@saboteur("a bad store", "L2", seeds=10)
def objects_of_a_failed_backup_that_stay(patch: Patch) -> None:
    """What a backup that fails has sent is left."""
    step = Step(lambda *_: Done(), backwards=True)
    patch.setitem(handler.LOCAL_STEPS, "create_backup.discard", step)


@saboteur("backed up", "L2")
def objects_of_a_deleted_backup_that_stay(patch: Patch) -> None:
    """A delete removes the row alone."""
    patch.setitem(handler.LOCAL_STEPS, "delete_backup.remove", Step(lambda *_: Done()))


@saboteur("in containers", "L2")
def objects_in_a_container_that_stay(patch: Patch) -> None:
    """What lies in a tenant's container is taken for removed."""
    patch.setattr(container_objects, "_removed", lambda operation, row, gone, sent_to: None)


@saboteur("given up", "I38", seeds=10)
def a_store_that_is_lent_to_anybody(patch: Patch) -> None:
    """Whoever asks for the store gets it, whatever its instance is at."""

    def about(instance: Instance | None, backup_id: str) -> Operation | None:
        row = backups.find_backup(backup_id)
        own = row is not None and instance is not None and row.instance_id == instance.id
        action = OperationAction.CREATE_BACKUP if own else OperationAction.RESTORE
        return Operation(action=action, tenant_id=row.tenant_id if row is not None else "")

    patch.setattr(storage, "_about", about)


@saboteur("backed up", "I6")
def a_key_that_opens_for_everybody(patch: Patch) -> None:
    """The keys of backups are sealed with one key for all projects, and not bound to theirs."""
    patch.setattr(data_keys, "_bound_to", lambda owner: (owner.kind.value, owner.id))


@saboteur("sealed by KMS", "I6")
def a_context_that_everybody_has(patch: Patch) -> None:
    """KMS seals the keys of backups without being told whose they are."""

    def context(owner: Owner) -> dict[str, str]:
        return {"deployment": settings().deployment_id, "project": "any", owner.kind: owner.id}

    patch.setattr(data_keys, "_context", context)


@saboteur("backed up", "I5")
def a_quota_that_is_not_given_back(patch: Patch) -> None:
    """A backup that is deleted counts on."""
    original = quotas.release

    def release(write: TransactWrite, tenant_id: str, held: Mapping[str, int]) -> None:
        kept = {name: amount for name, amount in held.items() if name != "backups"}
        if kept:
            original(write, tenant_id, kept)

    patch.setattr(quotas, "release", release)


@saboteur("a bad store", "I40")
def a_verdict_without_a_look(patch: Patch) -> None:
    """A backup is called sound that nobody has tried out."""
    for name in ("look", "try"):
        patch.setitem(handler.LOCAL_STEPS, f"verify_backup.{name}", Step(lambda *_: Done()))
    sound = Done({"verdict": {"verdict": "passed"}})
    patch.setitem(handler.LOCAL_STEPS, "verify_backup.judge", Step(lambda *_: sound))


@saboteur("backed up", "I40")
def a_trial_that_stays(patch: Patch) -> None:
    """What was tried out is left on the volume."""
    patch.setattr(guests, "clear_trial", lambda volume: None)


@saboteur("given up", "I41", seeds=10)
def a_delete_that_waits_for_no_backup(patch: Patch) -> None:
    """An instance is deleted after its last backup, whatever has become of that."""
    original = ending._deleting

    def deleting(operation: Operation, how: Ending, subject: Subject) -> Operation | None:
        return original(operation, Ending(OperationStatus.SUCCEEDED), subject)

    patch.setattr(ending, "_deleting", deleting)


@saboteur("backed up", "L6")
def a_restore_that_skips_an_increment(patch: Patch) -> None:
    """The last of a chain is not applied."""
    original = guests.made_of

    def made_of(chain: Iterable[StoredBackup], fetched: Mapping[str, bytes]) -> Contents:
        first, *rest = chain
        return original([first, *rest[:-1]], fetched)

    patch.setattr(guests, "made_of", made_of)


@saboteur("backed up", "L1")
def a_chain_that_is_as_large_as_its_first(patch: Patch) -> None:
    """What a restore needs is asked of the full backup alone; increments are large."""
    original = rules.needs_gib

    def needs_gib(chain: Sequence[Copied]) -> float:
        return original(chain[:1])

    patch.setattr(guests, "INCREMENT_GIB", 2.5)
    patch.setattr(rules, "needs_gib", needs_gib)


@saboteur("snapshots", "L2")
def snapshots_of_deleted_backups_that_stay(patch: Patch) -> None:
    """A delete removes the row alone, and the volume of a deleted instance stays with it."""
    patch.setitem(handler.CLOUD_STEPS, "delete_backup.remove_snapshot", Step(lambda *_: Done()))


@saboteur("snapshots", "I12")
def a_snapshot_that_is_believed(patch: Patch) -> None:
    """Whatever Cinder has accepted is complete."""

    def snapshot(operation: Operation, _: str | None) -> Outcome:
        row = create_snapshot._backup(operation)
        assert row is not None
        known = snapshots.find(row.id)
        made = known[0] if known else create_snapshot._make(operation, row, str(row.volume_id))
        assert made is not None
        return Done({"backup": {"snapshot_id": made.id, "snapshot_gib": made.size}})

    patch.setitem(handler.CLOUD_STEPS, "create_snapshot.snapshot", Step(snapshot))


@saboteur("imports", "L6")
def accounts_of_another_guest_that_stay(patch: Patch) -> None:
    """What was imported begins with Trove's administrators, and their passwords."""
    patch.setattr(guests, "adopted", lambda contents: contents)


@saboteur("imports", "L6", seeds=10)
def whatever_lies_there_now(patch: Patch) -> None:
    """An instance begins with what is in the place of the object that was imported."""

    def require_same(request: Request, row: Backup, location: str) -> None:
        if not request.dry_run and row.imported is not None:
            found = importing.described(importing._found(request, location))
            row.update(actions=[Backup.imported.set(msgspec.to_builtins(found))])

    patch.setattr(importing, "require_same", require_same)


@saboteur("imports", "I12")
def a_delete_that_takes_the_object_along(patch: Patch) -> None:
    """With an import what it was imported from goes, as at Trove."""
    original = removing_objects.of

    def of(operation: Operation, row: Backup) -> Outcome:
        known, place = imports.known(row.imported), backups.container_of(row)
        if known is not None and place is not None:
            containers.remove(place, known.key)
        return original(operation, row)

    patch.setattr(removing_objects, "of", of)


@saboteur("by strategy", "I43")
def a_strategy_that_is_forgotten(patch: Patch) -> None:
    """Nobody looks where a strategy has backups go."""
    patch.setattr(strategies, "container_for", lambda instance: None)


@saboteur("by strategy", "I43")
def strategies_that_are_not_listed(patch: Patch) -> None:
    """A project is told that it has none."""
    patch.setattr(strategies, "of_tenant", lambda _, __=None: [])


@saboteur("a bad store", "I40", seeds=10)
def a_verdict_without_a_reason(patch: Patch) -> None:
    """A backup is called damaged, and nobody says why."""

    def judged(*, sound: bool, reason: str) -> Done:
        return Done({VERDICT: {"verdict": PASSED if sound else FAILED}})

    patch.setattr(verify_backup, "_judged", judged)
