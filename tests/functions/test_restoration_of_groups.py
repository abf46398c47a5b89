"""After a restore of tables: instances, configuration groups and attachments agree again."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.bus import queues
from chalicelib.domain.configurations import UNKNOWN
from chalicelib.domain.flows import APPLY, CONFIGURE, RESTART
from chalicelib.lifecycle import Status
from chalicelib.status import ConfigurationStatus
from chalicelib.store import accepting, attachments, configurations, events, instances
from chalicelib.store.models import Attachment, Configuration, Instance, Operation
from chalicelib.store.operations import operation_of
from tests.functions.restored import Backup, lose_row, run
from tests.functions.test_configuration_held import LATER, VALUES, group, held, with_group
from tests.support.rows import WHO
from tests.support.simulated import Stack

TABLES = (Instance, Configuration, Attachment)


def set_group(stack: Stack, instance_id: str, group_id: str | None) -> None:
    """Attach a group, or detach the one that there is, as the API does."""
    row = instances.get_instance(instance_id)
    arguments = {"configuration": group_id}
    operation = operation_of(row, CONFIGURE, arguments=arguments, asked=WHO)
    beside = (
        attachments.attaching(group_id, row.id)
        if group_id is not None
        else attachments.detaching(str(row.configuration_id), row.id)
    )
    changes = {"configuration_id": group_id}
    assert accepting.accept(row, operation, changes=changes, beside=beside)
    queues.notify_task_manager(operation.id)


def change(group_id: str, values: dict[str, Any]) -> None:
    row = configurations.get_configuration(group_id)
    changed = configurations.change(row, values, {}, WHO)
    assert changed is not None
    if changed.operation_id is not None:
        queues.notify_task_manager(changed.operation_id)


def told(instance_id: str) -> tuple[str | None, str | None]:
    row = instances.get_instance(instance_id)
    return row.configuration_id, row.configuration_held


def has(group_id: str) -> set[str]:
    return {row.by_id for row in Attachment.query(group_id)}


def in_order(stack: Stack) -> None:
    """There is nothing left to do, and everything holds."""
    assert run() == []
    stack.settle()
    stack.check()


def test_an_instance_learns_of_the_group_that_it_got_since(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    made = group(stack)
    backup = Backup(stack, Instance, Attachment)
    stack.run(1)
    set_group(stack, instance.id, made)
    stack.settle()
    backup.restore()
    assert f"{instance.id}: configure_instance has SUCCEEDED" in run(check=True)
    assert f"{instance.id}: its configuration group {made} did not know of it" in run()
    assert (told(instance.id), has(made)) == ((made, f"{made}/1"), {instance.id})
    in_order(stack)


def test_an_instance_learns_that_it_lost_its_group_since(stack: Stack) -> None:
    instance_id, made = with_group(stack)
    backup = Backup(stack, Instance, Attachment)
    stack.run(1)
    set_group(stack, instance_id, None)
    stack.settle()
    backup.restore()
    assert f"{instance_id}: does not have {made}, as an attachment says" in run()
    assert (told(instance_id), has(made), held(stack)) == ((None, None), set(), {})
    in_order(stack)


def test_an_operation_that_brings_a_group_goes_on(stack: Stack) -> None:
    instance, _ = stack.create()
    stack.settle()
    made = group(stack)
    backup = Backup(stack, Instance)
    stack.run(1)
    (script,) = stack.guests.values()
    script.waiting.add("update_overrides")
    set_group(stack, instance.id, made)
    stack.run(3)
    backup.restore()
    run()
    script.waiting.clear()
    stack.settle()
    assert (told(instance.id), held(stack)) == ((made, f"{made}/1"), VALUES)
    in_order(stack)


@pytest.mark.parametrize("changed", [False, True])
def test_an_instance_that_is_adopted_has_its_group(stack: Stack, changed: bool) -> None:
    """By its record in the cloud, or by the operations since."""
    instance_id, made = with_group(stack)
    if changed:
        set_group(stack, instance_id, None)
        stack.settle()
        other = group(stack)
        set_group(stack, instance_id, other)
        stack.settle()
        made = other
    lose_row(stack, instance_id)
    run()
    assert told(instance_id) == (made, UNKNOWN)
    assert has(made) == {instance_id}
    stack.accept(instance_id, RESTART)
    stack.settle()
    assert (told(instance_id), held(stack)) == ((made, f"{made}/1"), VALUES)
    in_order(stack)


@pytest.mark.parametrize("tables", [(Configuration,), (Configuration, Attachment)])
def test_an_instance_whose_group_is_lost_has_none(stack: Stack, tables: Any) -> None:
    backup = Backup(stack, *tables)
    instance_id, made = with_group(stack)
    backup.restore()
    said = f"its configuration group {made} is gone, and it has none"
    assert f"{instance_id}: {said}" in run()
    assert (told(instance_id), [*Attachment.scan()]) == ((None, UNKNOWN), [])
    assert said in [event.message for event in events.events_of(instance_id)]
    stack.accept(instance_id, RESTART)
    stack.settle()
    assert (told(instance_id), held(stack)) == ((None, None), {})
    in_order(stack)


def test_attachments_are_written_again(stack: Stack) -> None:
    backup = Backup(stack, Attachment)
    instance_id, made = with_group(stack)
    version_id = configurations.get_configuration(made).datastore_version_id
    backup.restore()
    assert run("restore_groups") == [
        f"{instance_id}: its configuration group {made} did not know of it",
        f"configuration group {made}: its version did not know of it",
    ]
    assert (has(made), has(version_id)) == ({instance_id}, {made})
    in_order(stack)


def test_a_revision_is_no_second_time_another_ones_number(stack: Stack) -> None:
    """A guest that holds the first would be taken for one that holds the second."""
    instance_id, made = with_group(stack)
    backup = Backup(stack, Configuration)
    change(made, LATER)
    stack.settle()
    assert told(instance_id) == (made, f"{made}/2")
    backup.restore()
    assert run() == [f"configuration group {made}: 1 changes of its values are lost"]
    assert configurations.get_configuration(made).revision == 3
    change(made, {"max_connections": 60})
    stack.settle()
    assert (told(instance_id), held(stack)) == ((made, f"{made}/4"), {"max_connections": 60})
    in_order(stack)


@pytest.mark.parametrize("lost", [False, True])
def test_a_group_that_says_applying_takes_changes_again(stack: Stack, lost: bool) -> None:
    _, made = with_group(stack)
    before = Backup(stack, Operation)
    change(made, LATER)
    backup = Backup(stack, Configuration)
    stack.settle()
    backup.restore()
    if lost:
        before.restore()
    assert configurations.get_configuration(made).status == ConfigurationStatus.APPLYING
    how = "its operation is lost" if lost else "apply_configuration has SUCCEEDED"
    assert f"configuration {made}: {how}" in run()
    row = configurations.get_configuration(made)
    assert (row.status, row.operation_id) == (ConfigurationStatus.ACTIVE, None)
    assert bool(row.fault_message) == lost
    change(made, {"max_connections": 60})
    stack.settle()
    assert held(stack) == {"max_connections": 60}
    in_order(stack)


def test_a_group_learns_that_it_is_being_applied(stack: Stack) -> None:
    instance_id, made = with_group(stack)
    (script,) = stack.guests.values()
    script.waiting.add("update_overrides")
    backup = Backup(stack, Configuration)
    change(made, LATER)
    stack.run(5)
    backup.restore()
    assert f"configuration {made}: {APPLY.action} is under way" in run()
    script.waiting.clear()
    stack.settle()
    row = configurations.get_configuration(made)
    assert (row.status, row.wanted) == (ConfigurationStatus.ACTIVE, VALUES)
    assert held(stack) == VALUES, "the change is lost, and so is what it brought"
    assert instances.get_instance(instance_id).status == Status.ACTIVE
    in_order(stack)


@pytest.mark.parametrize("tables", [TABLES, (*TABLES, Operation)])
def test_what_was_restored_to_one_moment_agrees(stack: Stack, tables: Any) -> None:
    instance_id, made = with_group(stack)
    backup = Backup(stack, *tables)
    other = group(stack)
    stack.run(1)
    set_group(stack, instance_id, None)
    stack.settle()
    set_group(stack, instance_id, other)
    stack.settle()
    backup.restore()
    run()
    known = instances.get_instance(instance_id).configuration_id
    assert known == (made if Operation in tables else None), "the other group is gone"
    assert run() == []


def test_pages_are_read_to_their_ends(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.restoration.PAGE_ROWS", 1)
    backup = Backup(stack, Attachment)
    made = [with_group(stack) for _ in range(2)]
    backup.restore()
    for number in range(3):
        Attachment(made[0][1], f"nobody-{number}").save()
    assert len(run("restore_groups")) == 2 + 2 + 3
    assert [has(each) for _, each in made] == [{instance_id} for instance_id, _ in made]
    assert run("restore_groups") == []
