"""A rollout: so many at a time, counted once each, stopped when too many fail."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chalicelib import aws
from chalicelib.bus import queues
from chalicelib.cloud.errors import Refused
from chalicelib.domain.flows import REBUILD, RESTART, ROLL_OUT, STOP, UPGRADE_AGENT
from chalicelib.domain.operations import OperationStatus
from chalicelib.domain.rollouts import NAMED, Progress, Wanted
from chalicelib.errors import Conflict
from chalicelib.lifecycle import Status
from chalicelib.status import RolloutStatus
from chalicelib.store import accepting, children, instances, operations, rollouts, subjects
from chalicelib.store.base import as_dict
from chalicelib.store.events import Asked
from chalicelib.store.generations import MOST_GENERATIONS
from chalicelib.store.models import Instance, Operation, Rollout, ServiceStatusRow
from functions import roll_out
from functions.outcomes import Done
from simulator.cloud.model.cloud import GUEST_IMAGE
from simulator.cloud.model.identity import stable_id
from simulator.fleet.releases import BUNDLES, Kind
from tests.support.rows import TENANT, WHO, new_instance
from tests.support.scripted import Script
from tests.support.simulated import Stack

IMAGE = stable_id("image", GUEST_IMAGE)
WANTED = Wanted(IMAGE, "version-1")


def fleet(stack: Stack, size: int) -> list[str]:
    """Instances that serve."""
    made = [stack.create()[0].id for _ in range(size)]
    stack.settle()
    return made


def begin(stack: Stack, **changes: Any) -> Rollout:
    """Accept a rollout as the API does."""
    wanted = msgspec.structs.replace(Wanted(IMAGE, "version-1"), **changes)
    row = rollouts.new_rollout("operators", wanted)
    operation = operations.operation_of(row, ROLL_OUT, arguments=row.asked, asked=WHO)
    accepting.accept_create(row, operation, {})
    queues.notify_task_manager(operation.id)
    return row


def seen(row: Rollout) -> tuple[str, Progress]:
    """Its status and what it has counted in the end."""
    stored = rollouts.get_rollout(row.id)
    assert stored.operation_id is None
    assert stored.expires is not None
    return stored.status, msgspec.convert(stored.progress, Progress)


def of(row: Rollout) -> Operation:
    (operation,) = operations.operations_of(row.id)
    return operation


def most_at_once(stack: Stack, parent_id: str) -> list[int]:
    """How many children of an operation lived at a time, as far as any write told."""
    live, most = set[str](), [0]

    def watch(_: Any, new: Any) -> None:
        if new and new.get("parent_id") == parent_id:
            (live.add if "live" in new else live.discard)(new["id"])
            most[0] = max(most[0], len(live))

    stack.invariants.hub.on_write("operations", watch)
    return most


def test_every_instance_is_rebuilt_by_an_operation_of_its_own(stack: Stack) -> None:
    ids = fleet(stack, 3)
    row = begin(stack, at_once=2)
    most = most_at_once(stack, of(row).id)
    stack.settle()
    stack.check()
    assert most == [2]
    status, progress = seen(row)
    assert (status, progress.rebuilt, progress.under_way) == (RolloutStatus.COMPLETED, 3, ())
    parent = of(row)
    assert (parent.status, parent.kind) == ("SUCCEEDED", "rollout")
    with pytest.raises(AssertionError, match="no operation of an instance"):
        _ = parent.instance_id
    for instance_id in ids:
        child = operations.operations_of(instance_id)[0]
        assert (child.action, child.parent_id, child.user_id) == (
            REBUILD.action,
            parent.id,
            WHO.user_id,
        )
        instance = instances.get_instance(instance_id)
        assert (instance.image_id, instance.generation) == (IMAGE, 2)


def test_what_has_the_image_or_is_busy_is_left_alone_and_counted(stack: Stack) -> None:
    fleet(stack, 3)
    begin(stack, at_once=3)
    stack.settle()
    done = [row["id"] for row in stack.instances()]
    (new,) = fleet(stack, 1)
    stack.accept(new, RESTART)
    again = begin(stack)
    stack.settle()
    assert seen(again) == (
        RolloutStatus.COMPLETED,
        Progress(seen(again)[1].behind, walked=True, skipped=4, passed_over=(new,)),
    )
    assert {instances.get_instance(each).generation for each in done} == {2}
    assert instances.get_instance(new).generation == 1


def test_one_that_is_stopped_is_so_again_and_one_in_error_is_left_alone(stack: Stack) -> None:
    (stopped, broken) = fleet(stack, 2)
    stack.accept(stopped, STOP)
    stack.settle()
    row = instances.get_instance(broken)
    row.update(actions=[Instance.status.set(Status.ERROR), Instance.fault_message.set("broken")])
    first = begin(stack)
    stack.settle()
    assert (seen(first)[1].rebuilt, seen(first)[1].skipped) == (1, 1)
    assert seen(first)[1].passed_over == (broken,)
    row = instances.get_instance(stopped)
    assert (row.status, row.generation, row.image_id) == (Status.STOPPED, 2, IMAGE)
    assert instances.get_instance(broken).generation == 1


def test_one_of_a_project_leaves_the_others_alone(stack: Stack) -> None:
    mine = stack.create(tenant_id=TENANT)[0].id
    other = stack.create(datastore_version_id="version-2")[0].id
    stack.settle()
    row = begin(stack, project_id=TENANT, version_id="version-2")
    stack.settle()
    assert seen(row)[1].rebuilt == 1
    assert instances.get_instance(other).generation == 2
    assert instances.get_instance(mine).generation == 1
    nobody = begin(stack, project_id="nobody's")
    stack.settle()
    assert seen(nobody) == (RolloutStatus.COMPLETED, Progress(walked=True))


def fail_all(stack: Stack) -> None:
    def fail(script: Script) -> None:
        script.failure = "this image has no database"

    stack.guests.on_guest = fail


def test_too_many_failures_stop_it_and_say_which(stack: Stack) -> None:
    ids = fleet(stack, 4)
    fail_all(stack)
    row = begin(stack, tolerate=1)
    stack.settle()
    status, progress = seen(row)
    assert (status, progress.failed, progress.rebuilt) == (RolloutStatus.STOPPED, 2, 0)
    assert not progress.walked
    told = rollouts.get_rollout(row.id).fault_message or ""
    assert "2 failed, and 1 may: that of" in told
    assert all(each in told for each in progress.failures)
    assert "Ask again to go on" in told
    states = sorted(instances.get_instance(each).status for each in ids)
    assert states == [Status.ACTIVE, Status.ACTIVE, Status.ERROR, Status.ERROR]


def test_as_many_failures_as_it_tolerates_do_not_stop_it(stack: Stack) -> None:
    fleet(stack, 2)
    stack.refusals["servers.rebuild"] = Refused("Flavor's disk is too small for the image")
    row = begin(stack, tolerate=2)
    stack.settle()
    status, progress = seen(row)
    assert (status, progress.failed) == (RolloutStatus.COMPLETED, 2)


def test_one_that_is_stopped_begins_no_more_and_waits_for_what_runs(stack: Stack) -> None:
    fleet(stack, 3)
    row = begin(stack)
    stack.run(3)
    stored = rollouts.get_rollout(row.id)
    live = of(row)
    assert subjects.cancel(stored, live, "An administrator stopped it.", Asked())
    (under_way,) = as_dict(live.resources)["under_way"]
    assert children.find(live.id, [under_way])[under_way].live is not None
    stack.settle()
    stack.check()
    status, progress = seen(row)
    assert (status, progress.rebuilt, progress.under_way) == (RolloutStatus.STOPPED, 1, ())
    assert of(row).status == "CANCELLED"
    generations = sorted(
        int(instances.get_instance(each["id"]).generation) for each in stack.instances()
    )
    assert generations == [1, 1, 2]


def test_a_rebuild_that_is_called_back_by_a_delete_is_no_failure(stack: Stack) -> None:
    (first, second) = fleet(stack, 2)
    row = begin(stack, at_once=2)
    stack.run(3)
    stack.delete(first)
    stack.settle()
    stack.check()
    status, progress = seen(row)
    assert (status, progress.rebuilt, progress.skipped) == (RolloutStatus.COMPLETED, 1, 1)
    assert instances.get_instance(second).generation == 2


def test_one_that_is_late_stops_and_says_what_it_has_not_reached(stack: Stack) -> None:
    fleet(stack, 2)
    row = begin(stack)
    operation = of(row)
    operation.update(actions=[Operation.deadline.set(aws.clock() + 5)])
    stack.settle()
    status, progress = seen(row)
    assert (status, progress.rebuilt) == (RolloutStatus.STOPPED, 1)
    assert "not all instances were looked at" in (rollouts.get_rollout(row.id).fault_message or "")


def test_one_runs_at_a_time(stack: Stack) -> None:
    fleet(stack, 1)
    first = begin(stack)
    with pytest.raises(Conflict, match=first.id):
        begin(stack)
    stack.settle()
    second = begin(stack)
    rollouts.get_rollout(second.id).delete()  # as a table restored to an earlier moment has it
    stack.settle()
    assert of(second).status == "SUCCEEDED"
    begin(stack)
    stack.settle()


def test_a_worker_that_overran_its_lease_begins_nothing(stack: Stack) -> None:
    """Another one goes on meanwhile: what the first has read is old."""
    (instance_id,) = fleet(stack, 1)
    row = begin(stack)
    first = operations.take_lease(of(row).id, "rebuild")
    stack.run(60)
    operations.take_lease(first.id, "rebuild")
    assert roll_out._begin(first, Wanted(IMAGE, "version-1"), instance_id)
    assert children.find(first.id, [instance_id]) == {}
    assert instances.get_instance(instance_id).status == Status.ACTIVE


def test_a_look_goes_on_where_the_last_one_ended(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollouts, "READ_AT_ONCE", 1)
    monkeypatch.setattr(rollouts, "MOST_PAGES", 2)
    fleet(stack, 5)
    first = begin(stack, at_once=2)
    stack.settle()
    assert seen(first)[1].rebuilt == 5
    again = begin(stack, at_once=2)
    stack.settle()
    assert seen(again)[1].skipped == 5


def test_what_was_named_and_never_begun_is_not_waited_for(stack: Stack) -> None:
    (instance_id,) = fleet(stack, 1)
    leased = operations.take_lease(of(begin(stack)).id, "wait")
    operations.record(leased, Progress(under_way=(instance_id,)).recorded())
    leased.refresh()
    assert isinstance(roll_out.wait(leased, None), Done)
    leased.update(actions=[Operation.lease_until.set(0), Operation.cancelled.set("enough")])
    stack.settle()


def test_nothing_begins_for_a_parent_that_was_called_back(stack: Stack) -> None:
    (instance_id,) = fleet(stack, 1)
    leased = operations.take_lease(of(begin(stack)).id, "rebuild")
    leased.update(actions=[Operation.cancelled.set("enough")])
    assert roll_out._begin(leased, Wanted(IMAGE, "version-1"), instance_id)
    assert children.find(leased.id, [instance_id]) == {}
    leased.update(actions=[Operation.lease_until.set(0)])
    stack.settle()


@pytest.mark.parametrize(
    "change",
    [
        {"generation": MOST_GENERATIONS},
        {"resources": {"server_id": "server-1"}},
        {"resources": {"volume_id": "volume-1"}},
        {"operation_id": "another"},
        {"datastore_version_id": "version-2"},
        {"image_id": IMAGE},
        {"status": Status.ERROR},
    ],
    ids=str,
)
def test_what_cannot_be_rebuilt_any_more_is_not_begun(stack: Stack, change: dict[str, Any]) -> None:
    """It was fit when it was named."""
    owned = {"server_id": "server-1", "volume_id": "volume-1"}
    row = new_instance(**({"status": Status.ACTIVE, "resources": owned} | change))
    row.save()
    operation = operations.operation_of(rollouts.new_rollout("operators", WANTED), ROLL_OUT)
    assert not roll_out._begin(operation, WANTED, row.id)
    row.delete()


def test_ten_of_those_that_failed_are_named() -> None:
    progress = Progress()
    for number in range(NAMED + 2):
        progress = progress.without(str(number), OperationStatus.FAILED)
    assert (progress.failed, len(progress.failures)) == (NAMED + 2, NAMED)


def test_agents_are_upgraded_and_those_that_have_it_already_are_left_alone(stack: Stack) -> None:
    first, second, older = fleet(stack, 3)
    bundle = BUNDLES[0].asked
    stack.accept(first, UPGRADE_AGENT, msgspec.to_builtins(bundle))
    stack.settle()
    ServiceStatusRow(older).update(actions=[ServiceStatusRow.agent_release.set(2)])
    row = begin(stack, image_id="", version_id=None, agent=bundle, at_once=2)
    stack.settle()
    status, progress = seen(row)
    assert (status, progress.rebuilt, progress.skipped) == (RolloutStatus.COMPLETED, 1, 2)
    assert progress.passed_over == (older,), "who asks again should know what for"
    owners = [stack.fleet.of_instance(each) for each in (first, second, older)]
    assert [guest.runs for (guest,) in owners] == [bundle.version, bundle.version, "1.0.0"]


def test_a_broken_agent_stops_its_rollout(stack: Stack) -> None:
    fleet(stack, 3)
    (bundle,) = (each.asked for each in BUNDLES if each.kind is Kind.DIES)
    row = begin(stack, image_id="", version_id=None, agent=bundle)
    stack.settle()
    status, progress = seen(row)
    assert (status, progress.rebuilt, progress.failed) == (RolloutStatus.STOPPED, 0, 1)
    assert {script.guest.runs for script in stack.guests.values()} == {"1.0.0"}
