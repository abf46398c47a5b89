"""Who has which configuration group, after a restore of tables."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.configurations import UNKNOWN
from chalicelib.lifecycle import Status
from chalicelib.store import events, restoring_groups
from chalicelib.store.models import Attachment, Configuration, DatastoreVersion, Instance
from tests.store.test_configurations import made, now
from tests.store.test_configurations import version as version  # a fixture
from tests.support.rows import new_instance

pytestmark = pytest.mark.usefixtures("plain_world")


def instance(**changes: Any) -> Instance:
    row = new_instance(**{"status": Status.ACTIVE, **changes})
    row.save()
    return row


def row_of(instance_id: str) -> Instance:
    return Instance.get(instance_id)


def put_right(*, check: bool = False) -> list[str]:
    told = restoring_groups.of_instances(list(Instance.scan()), check=check)
    told += restoring_groups.of_groups(list(Configuration.scan()), check=check)
    return told + restoring_groups.of_attachments(list(Attachment.scan()), check=check)


def test_what_agrees_is_left_alone(version: DatastoreVersion) -> None:
    group = made(version)
    has = instance(configuration_id=group.id, configuration_held=f"{group.id}/1")
    Attachment(group.id, has.id).save()
    instance()
    instance(status=Status.DELETED, configuration_id="gone")
    assert put_right() == []
    assert row_of(has.id).configuration_id == group.id
    assert {(each.had_id, each.by_id) for each in Attachment.scan()} == {
        (group.id, has.id),
        (version.id, group.id),
    }


def test_an_instance_whose_group_is_gone_has_none(version: DatastoreVersion) -> None:
    row = instance(configuration_id="gone", configuration_held="gone/3")
    told = put_right(check=True)
    assert row_of(row.id).configuration_id == "gone", "it was only told"
    assert put_right() == told == [f"{row.id}: {restoring_groups.GONE.format('gone')}"]
    found = row_of(row.id)
    assert (found.configuration_id, found.configuration_held) == (None, UNKNOWN)
    assert [each.kind for each in events.events_of(row.id)] == ["instance.mended"]
    assert put_right() == []


def test_attachments_are_written_again_and_those_of_nobody_go(version: DatastoreVersion) -> None:
    group = made(version)
    has, had = instance(configuration_id=group.id), instance()
    for each in Attachment.scan():
        each.delete()
    Attachment(group.id, had.id).save()
    Attachment("gone", group.id).save()
    before = set(put_right(check=True))
    assert {(each.had_id, each.by_id) for each in Attachment.scan()} == {
        (group.id, had.id),
        ("gone", group.id),
    }
    assert set(put_right()) == before
    assert len(before) == 4
    assert {(each.had_id, each.by_id) for each in Attachment.scan()} == {
        (group.id, has.id),
        (version.id, group.id),
    }
    assert put_right() == []


@pytest.mark.parametrize(("held", "revision"), [(1, 1), (2, 3), (7, 8)])
def test_a_group_moves_on_past_what_its_guests_hold(
    version: DatastoreVersion, held: int, revision: int
) -> None:
    """Also past what one holds that has the group no more."""
    group = made(version)
    instance(configuration_held=f"{group.id}/{held}")
    instance(configuration_held=UNKNOWN)
    told = put_right(check=True)
    assert now(group).revision == 1
    assert put_right() == told
    assert bool(told) == (held > 1)
    assert now(group).revision == revision
    if told:
        assert f"{held - 1} changes of its values are lost" in told[0]
