"""Rows of configuration groups: making, changing and deleting them.

    change      values, revision (+ operation, when instances have the group)    one transaction

A change that comes while an older one is being applied is taken up by that operation: it ends no
sooner than it has `confirm`ed the revision that it has applied, which fails when there is a newer
one. From then on the next change waits for its end, so that none is lost between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.domain.configurations import held
from chalicelib.domain.flows import APPLY
from chalicelib.errors import NotFound
from chalicelib.status import ConfigurationStatus
from chalicelib.store import attachments
from chalicelib.store.accepting import accept
from chalicelib.store.base import Claim, ConditionFailed, transacted, update_if
from chalicelib.store.events import Asked, new_event
from chalicelib.store.models import Configuration, DatastoreVersion, Instance, Operation
from chalicelib.store.operations import get_operation, operation_of
from chalicelib.store.subjects import history_ends, setting, unchanged

DECIDED_BY: Final = ("revision", "applied", "attached")
"""The attributes by which a change is decided, beside status and operation."""


class Page(NamedTuple):
    """A page of groups by id; `marker` is where the next one begins, None when there is none."""

    rows: list[Configuration]
    marker: str | None


class Changed(NamedTuple):
    """A change that is durable, and the operation that applies it, unless no instance has it."""

    operation_id: str | None


def new_configuration(
    tenant_id: str, name: str, description: str | None, version: DatastoreVersion
) -> Configuration:
    """A row that is not stored yet, and has no values."""
    now = aws.clock()
    return Configuration(
        id=aws.new_id(),
        tenant_id=tenant_id,
        index_tenant=tenant_id,
        status=ConfigurationStatus.ACTIVE,
        created=now,
        updated=now,
        name=name,
        description=description or None,
        datastore_version_id=version.id,
        datastore_name=version.datastore_name,
        datastore_version=version.name,
        datastore_version_number=version.version,
        manager=version.manager,
        wanted={},
    )


def find_configuration(configuration_id: str) -> Configuration | None:
    """The row, read consistently, or None."""
    try:
        return Configuration.get(configuration_id, consistent_read=True)
    except Configuration.DoesNotExist:
        return None


def get_configuration(configuration_id: str, tenant_id: str | None = None) -> Configuration:
    """The group, read consistently; `NotFound` for another tenant's or a deleted one."""
    row = find_configuration(configuration_id)
    gone = row is None or row.status == ConfigurationStatus.DELETED
    if row is None or gone or tenant_id not in (None, row.tenant_id):
        raise NotFound(f"Configuration group with ID {configuration_id} could not be found.")
    return row


def names_of(configuration_ids: Iterable[str]) -> dict[str, str]:
    """The names of groups by id."""
    return {row.id: row.name for row in Configuration.batch_get(list(configuration_ids))}


def of_tenant(tenant_id: str, limit: int, marker: str | None) -> Page:
    """A page of a tenant's groups."""
    after = Configuration.id > marker if marker else None
    rows = list(Configuration.tenant_index.query(tenant_id, after, limit=limit + 1))
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def are_there(tenant_id: str, number: int) -> bool:
    """Whether a tenant has so many groups: those of the last moment may not be counted yet."""
    return len(list(Configuration.tenant_index.query(tenant_id, limit=number))) >= number


def create(row: Configuration, asked: Asked, claim: Claim | None = None) -> bool:
    """Store a new group; False when its datastore version is not there any more."""
    event = new_event(row.id, "configuration.created", "", row.told_to, asked)
    attach = attachments.grouping(row.datastore_version_id, row.id)

    def build(write: TransactWrite) -> None:
        write.save(row, condition=Configuration.id.does_not_exist())
        write.save(event)
        attach(write)

    return transacted(build, claim)


def edit(row: Configuration, noted: Mapping[str, Any], asked: Asked) -> bool:
    """Change what is noted of a group; False when it was changed meanwhile."""
    return _write(row, noted, "configuration.edited", asked)


def change(
    row: Configuration, wanted: Mapping[str, Any], noted: Mapping[str, Any], asked: Asked
) -> Changed | None:
    """Give a group other values; None when it was changed meanwhile, or what applies it ends.

    Clauses: revisions and operation are as they were read; so is the counter of its attachments,
    where nobody is to be told of the values (an instance that is attached meanwhile).
    """
    revision = int(row.revision) + 1
    values = {**noted, "wanted": dict(wanted), "revision": revision}
    if row.operation_id is not None:
        if not _takes_more(row, get_operation(row.operation_id)):
            return None
        written = _write(row, values, "configuration.changed", asked)
        return Changed(row.operation_id) if written else None
    if not attachments.any_of(row.id):
        alone = {**values, "applied": revision}
        return Changed(None) if _write(row, alone, "configuration.changed", asked) else None
    operation = operation_of(row, APPLY, asked=asked)
    accepted = accept(row, operation, decided_by=DECIDED_BY, changes=values)
    return Changed(operation.id) if accepted else None


def _takes_more(row: Configuration, live: Operation | None) -> bool:
    """Whether the operation that applies the values will see newer ones."""
    if live is None or live.live is None or live.cancelled or live.compensating:
        return False
    return int(row.applied) < int(row.revision)


def _write(row: Configuration, values: Mapping[str, Any], kind: str, asked: Asked) -> bool:
    event = new_event(row.id, kind, "", row.told_to, asked)
    now = Configuration.updated.set(aws.clock())
    actions: list[Action] = [*setting(Configuration, values), now]
    same = unchanged(row, *DECIDED_BY)

    def build(write: TransactWrite) -> None:
        write.update(row, actions=actions, condition=same)
        write.save(event)

    return transacted(build)


def confirm(row: Configuration, operation: Operation, revision: int) -> bool:
    """Remember that every instance was asked to hold a revision; False when there is a newer one.

    Clauses: no change came meanwhile; the operation is the group's.
    """
    clause = (Configuration.revision == revision) & (Configuration.operation_id == operation.id)
    try:
        update_if(row, [Configuration.applied.set(revision)], clause)
    except ConditionFailed:
        return False
    return True


def delete(row: Configuration, asked: Asked) -> bool:
    """Delete a group that no instance had after its row was read; False when it was changed
    meanwhile.

    Clauses: no operation has begun; nothing was attached since (the counter).
    """
    now = aws.clock()
    event = new_event(row.id, "configuration.deleted", "", row.told_to, asked)
    actions: list[Action] = [
        Configuration.status.set(ConfigurationStatus.DELETED),
        Configuration.updated.set(now),
        Configuration.index_tenant.remove(),
        Configuration.expires.set(history_ends(now)),
    ]
    same = unchanged(row, *DECIDED_BY)
    detach = attachments.detaching(row.datastore_version_id, row.id)

    def build(write: TransactWrite) -> None:
        write.update(row, actions=actions, condition=same)
        write.save(event)
        detach(write)

    return transacted(build)


def wanted_by(instance: Instance) -> Configuration | None:
    """The group of an instance, as it is now."""
    if instance.configuration_id is None:
        return None
    row = find_configuration(instance.configuration_id)
    return row if row is not None and row.status != ConfigurationStatus.DELETED else None


def told_by(group: Configuration | None) -> str | None:
    """What a guest holds that has the values of a group as they are now; None of none."""
    return held(group.id, int(group.revision)) if group is not None else None
