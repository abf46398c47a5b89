"""Which instances have a configuration group: a row for each, read consistently.

    attach      instance's `configuration_id`, the row here, the group's counter     one transaction
    detach      instance's `configuration_id`, the row here                          one transaction

The row of the instance decides. One here may be left over from an instance whose row is lost; none
is missing, so that who goes through a group meets all that have it. The counter of the group grows
with each attachment and never shrinks: who decides by it has seen them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from pynamodb.transactions import TransactWrite

from chalicelib.errors import NotFound
from chalicelib.status import ConfigurationStatus, Status
from chalicelib.store.instances import find_instances
from chalicelib.store.models import Attachment, Configuration, Instance

READ_AT_ONCE: Final = 100
MOST_PAGES: Final = 50
"""Looked through by who asks whether a group is in use: more may be left over of none."""


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


def detaching(configuration_id: str, instance_id: str) -> Callable[[TransactWrite], None]:
    """What an instance that loses its group writes beside its row."""
    return lambda write: write.delete(Attachment(configuration_id, instance_id))


def page(configuration_id: str, limit: int, marker: str | None) -> Page:
    """A page of the instances that have the group."""
    after = Attachment.instance_id > marker if marker else None
    found = list(Attachment.query(configuration_id, after, limit=limit + 1, consistent_read=True))
    known = find_instances(row.instance_id for row in found[:limit]) if found else {}
    rows = [known[row.instance_id] for row in found[:limit] if row.instance_id in known]
    following = found[limit - 1].instance_id if len(found) > limit else None
    return Page([row for row in rows if has(row, configuration_id)], following)


def has(instance: Instance, configuration_id: str) -> bool:
    """Whether an instance has that group."""
    return instance.configuration_id == configuration_id and instance.status != Status.DELETED


def any_of(configuration_id: str) -> bool:
    """Whether any instance has the group, as far as its attachments say."""
    marker: str | None = None
    for _ in range(MOST_PAGES):
        rows, marker = page(configuration_id, READ_AT_ONCE, marker)
        if rows or marker is None:
            return bool(rows)
    return True


def count(configuration_id: str) -> int:
    """How many instances have the group."""
    return Attachment.count(configuration_id)
