"""Rows of configuration groups and of who has them."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import errors
from chalicelib.domain.configurations import Application
from chalicelib.domain.flows import APPLY, CONFIGURE
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.status import ConfigurationStatus
from chalicelib.store import accepting, attachments, configurations
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Attachment, Configuration, DatastoreVersion, Instance, Operation
from chalicelib.store.operations import get_operation, operation_of
from tests.support.bare import World
from tests.support.rows import TENANT, WHO, new_instance

pytestmark = pytest.mark.usefixtures("plain_world")
OTHERS = "tenant-2"


@pytest.fixture
def version(plain_world: World) -> DatastoreVersion:
    row = DatastoreVersion(
        "version-1",
        datastore_id="mariadb",
        datastore_name="mariadb",
        name="10.11",
        version="10.11.6",
        manager="mariadb",
    )
    row.save()
    return row


def made(version: DatastoreVersion, tenant_id: str = TENANT, **wanted: Any) -> Configuration:
    row = configurations.new_configuration(tenant_id, "g", None, version)
    row.wanted = wanted or {"max_connections": 40}
    assert configurations.create(row, WHO)
    return row


def attached(group: Configuration, **changes: Any) -> Instance:
    """An instance that has the group."""
    row = new_instance(**{"status": Status.ACTIVE, **changes})
    row.save()
    operation = operation_of(row, CONFIGURE, arguments={"configuration": group.id}, asked=WHO)
    beside = attachments.attaching(group.id, row.id)
    changed = {"configuration_id": group.id}
    assert accepting.accept(row, operation, changes=changed, beside=beside)
    end_operation(operation, Ending(OperationStatus.SUCCEEDED))
    return row


def now(row: Configuration) -> Configuration:
    found = configurations.find_configuration(row.id)
    assert found is not None
    return found


def test_a_group_is_its_tenants_and_an_administrators_alone(version: DatastoreVersion) -> None:
    row = made(version)
    made(version, OTHERS)
    assert configurations.get_configuration(row.id, TENANT).wanted == {"max_connections": 40}
    assert configurations.get_configuration(row.id).id == row.id
    with pytest.raises(errors.NotFound):
        configurations.get_configuration(row.id, OTHERS)
    assert [each.id for each in configurations.of_tenant(TENANT, 10, None).rows] == [row.id]


def test_groups_are_listed_a_page_at_a_time(version: DatastoreVersion) -> None:
    ids = sorted(made(version).id for _ in range(3))
    first = configurations.of_tenant(TENANT, 2, None)
    assert ([row.id for row in first.rows], first.marker) == (ids[:2], ids[1])
    last = configurations.of_tenant(TENANT, 2, first.marker)
    assert ([row.id for row in last.rows], last.marker) == (ids[2:], None)
    assert [configurations.are_there(TENANT, number) for number in (3, 4)] == [True, False]


def test_no_group_is_made_of_a_version_that_is_gone(version: DatastoreVersion) -> None:
    version.delete()
    row = configurations.new_configuration(TENANT, "g", None, version)
    assert not configurations.create(row, WHO)
    assert configurations.find_configuration(row.id) is None


def test_what_is_noted_changes_and_says_when(version: DatastoreVersion, plain_world: World) -> None:
    row = made(version)
    plain_world.run(60)
    assert configurations.edit(now(row), {"name": "other", "description": None}, WHO)
    assert (now(row).name, now(row).updated) == ("other", plain_world.now)
    assert not configurations.edit(
        Configuration(row.id, status=ConfigurationStatus.DELETED, revision=1), {"name": "x"}, WHO
    )


def test_values_that_no_instance_has_are_applied_at_once_and_others_by_an_operation(
    version: DatastoreVersion,
) -> None:
    row = made(version)
    changed = configurations.change(now(row), {"max_connections": 50}, {}, WHO)
    assert changed == configurations.Changed(None)
    assert (now(row).revision, now(row).applied, now(row).operation_id) == (2, 2, None)
    attached(row)
    changed = configurations.change(now(row), {"max_connections": 60}, {}, WHO)
    assert changed is not None
    operation = get_operation(str(changed.operation_id))
    assert operation is not None
    assert (operation.action, now(row).status) == (APPLY.action, ConfigurationStatus.APPLYING)
    more = configurations.change(now(row), {"max_connections": 70}, {}, WHO)
    assert more == changed, "it is taken up by what runs"
    assert (now(row).revision, now(row).applied) == (4, 2)
    assert [configurations.confirm(now(row), operation, each) for each in (3, 4)] == [False, True]
    assert configurations.change(now(row), {"max_connections": 80}, {}, WHO) is None
    operation.update(actions=[Operation.cancelled.set("No.")])
    assert configurations.change(now(row), {"max_connections": 80}, {}, WHO) is None


@pytest.mark.parametrize("how", [OperationStatus.SUCCEEDED, OperationStatus.FAILED])
def test_how_far_its_values_have_come_is_told_when_it_ends(
    version: DatastoreVersion, how: OperationStatus
) -> None:
    row = made(version)
    attached(row)
    configurations.change(now(row), {"max_connections": 60}, {}, WHO)
    operation = get_operation(str(now(row).operation_id))
    assert operation is not None
    progress = Application(revision=2, rebuilt=1, walked=True).recorded()
    operation.update(actions=[Operation.resources.set(progress)])
    end_operation(operation, Ending(how, "No." if how is OperationStatus.FAILED else ""))
    found = now(row)
    assert (found.status, found.operation_id) == (ConfigurationStatus.ACTIVE, None)
    assert (found.progress or {})["rebuilt"] == 1


def test_a_deleted_group_is_history_and_nobodys(
    version: DatastoreVersion, plain_world: World
) -> None:
    row = made(version)
    assert attachments.any_group_of(version.id)
    plain_world.run(60)
    assert configurations.delete(now(row), WHO)
    gone = now(row)
    assert (gone.status, gone.index_tenant) == (ConfigurationStatus.DELETED, None)
    assert gone.updated == plain_world.now
    assert gone.expires is not None
    with pytest.raises(errors.NotFound):
        configurations.get_configuration(row.id)
    with pytest.raises(errors.NotFound):
        attachments.require(row.id)
    assert not attachments.any_group_of(version.id)
    assert configurations.of_tenant(TENANT, 10, None).rows == []


def test_a_delete_and_an_attachment_at_once_do_not_both_come(version: DatastoreVersion) -> None:
    row = made(version)
    read = now(row)
    attached(row)
    assert not configurations.delete(read, WHO)
    other = made(version)
    assert configurations.delete(now(other), WHO)
    instance = new_instance(status=Status.ACTIVE)
    instance.save()
    operation = operation_of(instance, CONFIGURE, arguments={"configuration": other.id}, asked=WHO)
    beside = attachments.attaching(other.id, instance.id)
    assert not accepting.accept(instance, operation, beside=beside)


def test_who_has_a_group_is_found_past_what_is_left_over(
    version: DatastoreVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a row that is lost, of an instance that is deleted, or that has another one by now."""
    monkeypatch.setattr(attachments, "READ_AT_ONCE", 1)
    row = made(version)
    assert not attachments.any_of(row.id)
    others: list[dict[str, Any]] = [
        {"status": Status.DELETED},
        {"configuration_id": "other"},
        {"configuration_id": None},
    ]
    for number, changes in enumerate(others):
        fields = {"configuration_id": row.id, "status": Status.ACTIVE, **changes}
        new_instance(id=f"{number}", **fields).save()
        Attachment(row.id, f"{number}").save()
    Attachment(row.id, "lost").save()
    assert not attachments.any_of(row.id)
    found = attachments.page(row.id, 10, None)
    assert (found.rows, found.marker) == ([], None)
    has = attached(row, id="z")
    assert attachments.any_of(row.id)
    assert [each.id for each in attachments.page(row.id, 10, None).rows] == [has.id]
    assert attachments.page(row.id, 2, None).marker == "1"
    assert attachments.count(row.id) == 5
