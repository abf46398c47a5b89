"""Bugs of rows and transactions: operations, statuses, quotas, tenants."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
from pynamodb.transactions import TransactWrite

from chalicelib import aws, lifecycle
from chalicelib.api import actions, guest_calls
from chalicelib.api import instances as api_instances
from chalicelib.api import quotas as api_quotas
from chalicelib.domain.flows import What
from chalicelib.domain.operations import OperationAction, OperationStatus, SubjectKind
from chalicelib.lifecycle import Status
from chalicelib.store import (
    accepting,
    ending,
    events,
    instances,
    lists,
    operations,
    outcomes,
    quotas,
    subjects,
)
from chalicelib.store.base import transact
from chalicelib.store.models import Instance, Operation, ServiceStatusRow
from chalicelib.store.outcomes import Outcome
from chalicelib.store.quotas import default_limits
from tests.saboteurs.registry import Patch, nothing, saboteur


@saboteur("races", "I3", "I1")
def a_delete_that_does_not_queue(patch: Patch) -> None:
    """A delete takes the place of the live operation instead of waiting behind it."""
    original = accepting.accept

    def accept(instance: Instance, operation: Operation, **chosen: Any) -> bool:
        instance.operation_id = None
        return original(instance, operation, **chosen)

    def unchanged(instance: Instance, *_: str) -> Any:
        return Instance.status == instance.status

    patch.setattr(accepting, "accept", accept)
    patch.setattr(accepting, "unchanged", unchanged)


@saboteur("feeds", "I6")
def a_feed_for_everybody(patch: Patch) -> None:
    """The events of all tenants are in one feed, and each reads it."""
    patch.setattr(events, "_feeds", lambda _: ["everybody"] * events.FEED_SHARDS)


@saboteur("protected", "I24")
def a_protection_that_comes_too_late(patch: Patch) -> None:
    """A delete looks whether its instance is protected, and not whether it still is."""
    original = accepting.accept

    def accept(instance: Instance, operation: Operation, **chosen: Any) -> bool:
        return original(instance, operation, **{**chosen, "decided_by": ()})

    patch.setattr(accepting, "accept", accept)


@saboteur("protected", "I24")
def a_forced_delete_of_what_is_protected(patch: Patch) -> None:
    """An operator's forced delete does not ask whether the instance is protected."""
    original = api_instances.accept_delete
    patch.setattr(actions, "require_unprotected", nothing)
    patch.setattr(
        actions, "accept_delete", lambda request, **_: original(request, though_protected=True)
    )


@saboteur("races", "I3", "L1")
def a_queued_delete_forgotten(patch: Patch) -> None:
    """The end of an operation does not hand over to the delete that waits behind it."""
    patch.setattr(
        ending,
        "_hand_over",
        lambda _: [Instance.operation_id.remove(), Instance.next_operation_id.remove()],
    )


@saboteur("crossed", "I1", "I3", "I5")
def rows_written_as_they_were_read(patch: Patch) -> None:
    """Transactions on an instance do not ask whether it has changed since it was read."""
    for module in (instances, accepting, ending):
        patch.setattr(module, "unchanged", lambda *_: Instance.id.exists())


@saboteur("access", "L1")
def a_delete_that_waits_for_the_change(patch: Patch) -> None:
    """A delete does not call back the change of the access that it waits for."""
    patch.setattr(accepting, "calling_back", lambda *_: nothing)


@saboteur("races", "I1")
def a_reset_that_revives(patch: Patch) -> None:
    """A reset takes an instance back to BUILD."""
    original = lifecycle.next_status

    def next_status(status: str, event: str, *kind: SubjectKind) -> StrEnum:
        return Status.BUILD if event == lifecycle.RESET else original(status, event, *kind)

    patch.setattr(lifecycle, "next_status", next_status)


@saboteur("calm", "I5")
def quota_released_twice(patch: Patch) -> None:
    """The end of an instance gives back twice what it held."""
    original = quotas.release

    def release(write: Any, tenant_id: str, held: dict[str, int]) -> None:
        original(write, tenant_id, {name: 2 * amount for name, amount in held.items()})

    patch.setattr(quotas, "release", release)


@saboteur("calm", "I5", "L5")
def quota_never_released(patch: Patch) -> None:
    """The end of an instance gives nothing back."""
    patch.setattr(quotas, "release", lambda *_: None)


@saboteur("races", "I5", seeds=10)
def quota_not_checked_again(patch: Patch) -> None:
    """Two creates at once may both fit: the write does not repeat what the read has checked."""

    def reserve(write: Any, quota: Any, delta: dict[str, int]) -> None:
        actions = [getattr(type(quota), name).add(amount) for name, amount in delta.items()]
        write.update(type(quota)(quota.tenant_id), actions=actions)

    patch.setattr(quotas, "reserve", reserve)
    patch.setattr(accepting, "require_fit", lambda *_: None)


@saboteur("strangers", "I6")
def tenants_not_compared(patch: Patch) -> None:
    """An instance is found by its id for whoever asks."""

    def get_instance(instance_id: str, _: str | None = None, *, gone: bool = False) -> Instance:
        return instances.get_instance(instance_id, gone=gone)

    patch.setattr(guest_calls, "get_instance", get_instance)


@saboteur("calm", "I6")
def a_list_of_everything(patch: Patch) -> None:
    """A list shows the instances of all tenants that have asked for theirs."""

    original = lists.of_tenant
    asked: dict[str, None] = {}

    def of_tenant(tenant_id: str, limit: int, *chosen: Any) -> lists.Page:
        asked[tenant_id] = None
        pages = [original(each, limit, *chosen) for each in asked]
        return lists.Page([row for rows, _ in pages for row in rows][:limit], None)

    patch.setattr(lists, "of_tenant", of_tenant)


@saboteur("races", "I13")
def a_refusal_that_crashes(patch: Patch) -> None:
    """A request over the quota ends in an error that nobody expects."""

    def require_fit(*arguments: Any) -> None:
        used, held, limits = arguments
        assert all(limits[name] in (-1, *range(10**6)) for name in held)
        if used.get("instances", 0) + held["instances"] > limits["instances"]:
            raise KeyError("instances")

    patch.setattr(accepting, "require_fit", require_fit)


@saboteur("crossed", "I3")
def a_queued_delete_accepted_again(patch: Patch) -> None:
    """A delete after a reset makes a second operation although one waits already."""

    def accept_queued_delete(instance: Instance, *_: Any) -> bool:
        second = operations.new_operation(
            aws.new_id(),
            instance.id,
            instance.tenant_id,
            OperationAction.DELETE,
            timeout=600,
            status=OperationStatus.QUEUED,
        )
        actions = [
            Instance.status.set(Status.SHUTDOWN),
            Instance.next_operation_id.set(second.id),
        ]

        def build(write: Any) -> None:
            write.save(second)
            write.update(instance, actions=actions, condition=subjects.unchanged(instance))

        transact(build)
        return True

    patch.setattr(accepting, "accept_queued_delete", accept_queued_delete)


@saboteur("calm", "I5")
def quota_released_before_the_end(patch: Patch) -> None:
    """The quota is given back in a transaction of its own, before the row says so."""
    original, release = ending.end_operation, quotas.release

    def end_operation(operation: Operation, how: ending.Ending) -> str | None:
        row = instances.find_instance(operation.instance_id)
        gone = outcomes.outcome(operation, how.what).gone
        if gone and row is not None and row.held:
            transact(lambda write: release(write, row.tenant_id, row.held))
        return original(operation, how)

    patch.setattr(quotas, "release", nothing)
    patch.setattr(ending, "end_operation", end_operation)


@saboteur("deployments", "F19")
def a_row_written_as_a_whole(patch: Patch) -> None:
    """A rename writes the instance as this release knows it, and drops what a later one stored."""

    def edit(instance: Instance, values: dict[str, Any], _: object) -> None:
        for name, value in values.items():
            setattr(instance, name, value)
        instance.save(Instance.status == instance.status)

    patch.setattr(api_instances, "edit", edit)


@saboteur("calm", "I18")
def a_change_that_nobody_asked_for(patch: Patch) -> None:
    """The event of an accepted change does not take over who asked for it."""
    patch.setattr(accepting, "asked_by", lambda _: None)


@saboteur("calm", "L5")
def a_hold_that_outlives_its_instance(patch: Patch) -> None:
    """The end of a delete leaves the hold on the quota with the row, where nobody looks again."""
    original = outcomes.outcome

    def holding(operation: Operation, what: What) -> Outcome:
        return msgspec.structs.replace(original(operation, what), gone=False)

    patch.setattr(outcomes, "outcome", holding)


@saboteur("calm", "I3")
def an_ended_operation_still_swept(patch: Patch) -> None:
    """An operation that has ended stays in the index that the sweeper reads."""
    original = ending._close
    kept = [str(each) for each in (Operation.live.remove(), Operation.check_at.remove())]

    def close(status: Any, reason: str) -> list[Any]:
        return [each for each in original(status, reason) if str(each) not in kept]

    patch.setattr(ending, "_close", close)


@saboteur("races", "I1")
def a_reset_that_breaks(patch: Patch) -> None:
    """A reset takes an instance to ERROR that is ACTIVE."""
    original = lifecycle.next_status

    def next_status(status: str, event: str, *kind: SubjectKind) -> StrEnum:
        return Status.ERROR if event == lifecycle.RESET else original(status, event, *kind)

    patch.setattr(lifecycle, "next_status", next_status)


@saboteur("unknown results", "L3")
def an_error_without_a_reason(patch: Patch) -> None:
    """An instance goes to ERROR and its row does not say why; its operation does."""
    patch.setattr(ending, "faulty", nothing)


@saboteur("limits", "I5")
def limits_told_and_not_stored(patch: Patch) -> None:
    """An operator's limits are confirmed, and written nowhere."""
    patch.setattr(api_quotas, "set_limits", lambda _, wanted: default_limits() | wanted)


@saboteur("calm", "L2")
def a_report_that_outlives_its_guest(patch: Patch) -> None:
    """The end of a delete leaves what the guest reported last."""
    delete = TransactWrite.delete

    def kept(write: TransactWrite, row: Any, *more: Any, **clauses: Any) -> None:
        if not isinstance(row, ServiceStatusRow):
            delete(write, row, *more, **clauses)

    patch.setattr(TransactWrite, "delete", kept)


@saboteur("resizes", "I22")
def a_size_that_was_only_asked_for(patch: Patch) -> None:
    """The end of a resize tells the size that was asked for, not the one that was measured."""
    original = outcomes._volume_resized

    def resized(operation: Operation, ended: What) -> Outcome:
        made = original(operation, ended)
        asked = (operation.arguments or {})["volume_size"]
        return msgspec.structs.replace(
            made, values={**made.values, "volume_size": asked}, holds={"volumes": asked}
        )

    patch.setitem(outcomes._OUTCOMES, OperationAction.RESIZE_VOLUME, resized)


@saboteur("resizes", "I5")
def a_resize_that_keeps_its_hold(patch: Patch) -> None:
    """What a resize held of the quota is not given back when the volume did not grow."""
    original = outcomes._volume_resized

    def resized(operation: Operation, ended: What) -> Outcome:
        return msgspec.structs.replace(original(operation, ended), holds={})

    patch.setitem(outcomes._OUTCOMES, OperationAction.RESIZE_VOLUME, resized)


@saboteur("vanished", "L2", "L3", seeds=10)
def a_server_made_anew_that_is_not_owned(patch: Patch) -> None:
    """The end of a rebuild leaves the id of the server that has vanished in its instance's row."""
    original = outcomes._rebuilt

    def rebuilt(operation: Operation, ended: What) -> Outcome:
        made = original(operation, ended)
        values = {name: value for name, value in made.values.items() if name != "resources"}
        return msgspec.structs.replace(made, values=values)

    patch.setitem(outcomes._OUTCOMES, OperationAction.REBUILD, rebuilt)


@saboteur("flavors", "I5")
def a_flavor_that_keeps_its_hold(patch: Patch) -> None:
    """The memory that a resize held is not given back when the server kept its flavor."""
    original = outcomes._flavor_resized

    def resized(operation: Operation, ended: What) -> Outcome:
        return msgspec.structs.replace(original(operation, ended), holds={})

    patch.setitem(outcomes._OUTCOMES, OperationAction.RESIZE_FLAVOR, resized)
