"""Who has what: a row for each instance that has a configuration group, and for each group of a
datastore version. They are read consistently, which an index is not.

    attach      instance's `configuration_id`, the row here, the group's counter     one transaction
    detach      instance's `configuration_id`, the row here                          one transaction
    group       the group's row, the row here, the version's counter                 one transaction

The row of who has it decides. One here may be left over from a row that is lost; none is missing,
so that who goes through a group meets all that have it. The counter of what is had grows with each
attachment and never shrinks: who decides by it has seen them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Final, NamedTuple

from pynamodb.transactions import TransactWrite

from chalicelib.errors import NotFound
from chalicelib.status import ConfigurationStatus, Status
from chalicelib.store.instances import find_instances
from chalicelib.store.models import Attachment, Configuration, DatastoreVersion, Instance

READ_AT_ONCE: Final = 100
MOST_PAGES: Final = 50
"""Looked through by who asks whether something is in use: more may be left over of none."""


class Page(NamedTuple):
    """Instances of a group by id; `marker` is where the next page begins, None when there is none.
    A page may be shorter than was asked for, and still have a next one."""

    rows: list[Instance]
    marker: str | None


def attaching(configuration_id: str, instance_id: str) -> Callable[[TransactWrite], None]:
    """What an instance that gets a group writes beside its row.

    Clause: the group is there (a delete of it meanwhile, which in turn looks at the counter).
    """
    group, row = Configuration(configuration_id), Attachment(configuration_id, instance_id)
    there = Configuration.status.is_in(ConfigurationStatus.ACTIVE, ConfigurationStatus.APPLYING)

    def build(write: TransactWrite) -> None:
        write.update(group, actions=[Configuration.attached.add(1)], condition=there)
        write.save(row)

    return build


def require(configuration_id: str) -> None:
    """`NotFound` when the group was deleted."""
    try:
        group = Configuration.get(configuration_id, consistent_read=True)
        gone = group.status == ConfigurationStatus.DELETED
    except Configuration.DoesNotExist:
        gone = True
    if gone:
        raise NotFound(f"Configuration group with ID {configuration_id} could not be found.")


def grouping(version_id: str, group_id: str) -> Callable[[TransactWrite], None]:
    """What a group that is made of a datastore version writes beside its row.

    Clause: the version is there (a delete of it meanwhile, which in turn looks at the counter).
    """
    version, row = DatastoreVersion(version_id), Attachment(version_id, group_id)
    there = DatastoreVersion.id.exists()

    def build(write: TransactWrite) -> None:
        write.update(version, actions=[DatastoreVersion.grouped.add(1)], condition=there)
        write.save(row)

    return build


def detaching(had_id: str, by_id: str) -> Callable[[TransactWrite], None]:
    """What an instance that loses its group, or a group that is deleted, writes beside its row."""
    return lambda write: write.delete(Attachment(had_id, by_id))


def page(configuration_id: str, limit: int, marker: str | None) -> Page:
    """A page of the instances that have the group."""
    names, following = _names(configuration_id, limit, marker)
    known = find_instances(names) if names else {}
    rows = [known[each] for each in names if each in known]
    return Page([row for row in rows if has(row, configuration_id)], following)


def _names(had_id: str, limit: int, marker: str | None) -> tuple[list[str], str | None]:
    """A page of those that have something, by the rows here, and where the next one begins."""
    after = Attachment.by_id > marker if marker else None
    found = [
        row.by_id for row in Attachment.query(had_id, after, limit=limit + 1, consistent_read=True)
    ]
    return found[:limit], found[limit - 1] if len(found) > limit else None


def has(instance: Instance, configuration_id: str) -> bool:
    """Whether an instance has that group."""
    return instance.configuration_id == configuration_id and instance.status != Status.DELETED


def any_of(configuration_id: str) -> bool:
    """Whether any instance has the group, as far as its attachments say."""
    return _any(lambda marker: page(configuration_id, READ_AT_ONCE, marker))


def any_group_of(version_id: str) -> bool:
    """Whether there is a configuration group of a datastore version."""

    def groups(marker: str | None) -> tuple[list[Configuration], str | None]:
        names, following = _names(version_id, READ_AT_ONCE, marker)
        rows = Configuration.batch_get(names, consistent_read=True)
        return [row for row in rows if row.status != ConfigurationStatus.DELETED], following

    return _any(groups)


def _any(look: Callable[[str | None], tuple[Sized, str | None]]) -> bool:
    marker: str | None = None
    for _ in range(MOST_PAGES):
        rows, marker = look(marker)
        if rows or marker is None:
            return len(rows) > 0
    return True


def count(configuration_id: str) -> int:
    """How many instances have the group."""
    return Attachment.count(configuration_id)
