"""Configuration groups after a restore of tables: the row of an instance says which one it has.

    an instance whose group is gone         has none; what its guest holds is not known
    one that holds a later revision         its group is at one that is later still
    one of which its group does not know    an attachment is written; so for a group's version
    an attachment of nobody                 is removed

The values of a group that is lost are nowhere else, so that no row can be made again. Nothing else
may write these rows meanwhile: `docs/operations.md` says how the entrances are closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.domain.configurations import UNKNOWN
from chalicelib.status import ConfigurationStatus, Status
from chalicelib.store.attachments import has
from chalicelib.store.base import transact, update_if
from chalicelib.store.events import new_event
from chalicelib.store.instances import find_instances
from chalicelib.store.models import Attachment, Configuration, Instance
from chalicelib.store.subjects import unchanged

Groups = Mapping[str, Configuration]
GONE: Final = "its configuration group {} is gone, and it has none"


def of_instances(rows: Iterable[Instance], *, check: bool) -> list[str]:
    """Put a page of instances right; what was wrong of each."""
    living = [row for row in rows if row.status != Status.DELETED and _groups_of(row)]
    groups = _find({each for row in living for each in _groups_of(row)})
    known = _known((str(row.configuration_id), str(row.id)) for row in living)
    told = []
    for row in living:
        if (group_id := row.configuration_id) is None:
            continue
        if group_id not in groups:
            told.append(f"{row.id}: {GONE.format(group_id)}")
            if not check:
                _detach(row, GONE.format(group_id))
        elif (group_id, row.id) not in known:
            told.append(f"{row.id}: its configuration group {group_id} did not know of it")
            if not check:
                Attachment(group_id, row.id).save()
    return told + _later(living, groups, check=check)


def of_groups(rows: Iterable[Configuration], *, check: bool) -> list[str]:
    """Let the versions of a page of groups know of them; what was wrong of each."""
    living = [row for row in rows if row.status != ConfigurationStatus.DELETED]
    known = _known((str(row.datastore_version_id), str(row.id)) for row in living)
    told = []
    for row in living:
        if (row.datastore_version_id, row.id) not in known:
            told.append(f"configuration group {row.id}: its version did not know of it")
            if not check:
                Attachment(row.datastore_version_id, row.id).save()
    return told


def of_attachments(rows: Iterable[Attachment], *, check: bool) -> list[str]:
    """Remove those of a page that say what no row does; what was removed."""
    page = list(rows)
    who = {str(row.by_id) for row in page}
    instances, groups = find_instances(who), _find(who)
    told = []
    for row in page:
        instance, group = instances.get(row.by_id), groups.get(row.by_id)
        if instance is not None and has(instance, row.had_id):
            continue
        if group is not None and group.datastore_version_id == row.had_id:
            continue
        told.append(f"{row.by_id}: does not have {row.had_id}, as an attachment says")
        if not check:
            row.delete()
    return told


def _groups_of(row: Instance) -> set[str]:
    """The group that an instance has, and the one whose values its guest holds."""
    holds, _, revision = (row.configuration_held or "").rpartition("/")
    return {each for each in (row.configuration_id, holds if revision else None) if each}


def _find(ids: Iterable[str]) -> Groups:
    """The groups of those ids that are there."""
    found = Configuration.batch_get(list(ids), consistent_read=True)
    return {row.id: row for row in found if row.status != ConfigurationStatus.DELETED}


def _known(pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    found = Attachment.batch_get(list(pairs), consistent_read=True)
    return {(row.had_id, row.by_id) for row in found}


def _detach(row: Instance, what: str) -> None:
    """Clauses: the row is as it was read, and so is its group."""
    event = new_event(row.id, "instance.mended", what, row.tenant_id)
    actions: list[Action] = [
        Instance.configuration_id.remove(),
        Instance.configuration_held.set(UNKNOWN),
        Instance.updated.set(aws.clock()),
    ]

    def build(write: TransactWrite) -> None:
        write.update(row, actions=actions, condition=unchanged(row, "configuration_id"))
        write.save(event)

    transact(build)


def _later(rows: list[Instance], groups: Groups, *, check: bool) -> list[str]:
    """Move groups on, so that no revision to come has the number of one that a guest holds."""
    newest: dict[str, int] = {}
    for row in rows:
        group_id, _, revision = (row.configuration_held or "").rpartition("/")
        if group_id in groups and int(revision) > newest.get(group_id, 0):
            newest[group_id] = int(revision)
    told = []
    for group_id, held in newest.items():
        group = groups[group_id]
        if (lost := held - int(group.revision)) > 0:
            told.append(f"configuration group {group_id}: {lost} changes of its values are lost")
            if not check:
                later: list[Action] = [Configuration.revision.set(held + 1)]
                update_if(group, later, Configuration.revision == group.revision)
    return told
