"""Datastores and their versions: few rows, changed by operators, read as a whole.

What is changed of a datastore or of its versions is one transaction that moves the datastore's row
on by a revision. So whoever decides by what is there (is the name free, is a version left) decides
by what is still so when it is written.
"""

from __future__ import annotations

import uuid  # noqa: TID251 - a name made of names, nothing is drawn
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.store.base import Claim, transacted
from chalicelib.store.models import Datastore, DatastoreVersion, Instance

MOST_VERSIONS: Final = 500
"""Of all datastores: each process of the API reads them all, twice a minute at most."""

_NAMESPACE: Final = uuid.UUID("5f0c3f0e-6c57-4b43-9d2e-2f6d1f1d7a10")


class Offered(msgspec.Struct, frozen=True):
    """Everything that is on offer, as it was at one time."""

    datastores: list[Datastore]
    versions: list[DatastoreVersion]

    def datastore(self, name_or_id: str) -> Datastore | None:
        """The datastore of that id or name."""
        return next((row for row in self.datastores if name_or_id in (row.id, row.name)), None)

    def versions_of(self, datastore: Datastore) -> list[DatastoreVersion]:
        """The versions of a datastore, active or not."""
        return [row for row in self.versions if row.datastore_id == datastore.id]

    def version(self, version_id: str) -> DatastoreVersion | None:
        """The version of that id."""
        return next((row for row in self.versions if row.id == version_id), None)


def offered(*, consistent: bool = False) -> Offered:
    """Every datastore and version, active or not, by name and number."""
    return Offered(
        sorted(Datastore.scan(consistent_read=consistent), key=lambda row: row.name),
        sorted(
            DatastoreVersion.scan(consistent_read=consistent),
            key=lambda row: (row.name, row.version, row.id),
        ),
    )


def id_of(*names: str) -> str:
    """An id that follows from a name, so that two who make the same thing make one."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(names)))


def new_datastore(name: str) -> Datastore:
    """A row that is not stored yet."""
    return Datastore(id_of(name), name=name)


def is_used(version_id: str) -> bool:
    """Whether an instance has that version, as an index knows it that is a moment behind."""
    return any(True for _ in Instance.version_index.query(version_id, limit=1))


def change(
    datastore: Datastore,
    versions: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    removed: DatastoreVersion | None = None,
    ungrouped: DatastoreVersion | None = None,
    default: str | msgspec.UnsetType | None = msgspec.UNSET,
    claim: Claim | None = None,
) -> bool:
    """Write attributes of versions by their ids (None takes one away), remove a version, or name
    another default.

    False when the datastore was changed meanwhile; what was decided has to be decided again. The
    clauses that see it: its revision is as it was read (rows of earlier releases have none); no
    configuration group was made, and no backup imported, of the version that is `removed`, or of
    the one of which the caller has seen that it is `ungrouped`.
    """
    actions: list[Action] = [
        Datastore.name.set(datastore.name),
        Datastore.revision.set(int(datastore.revision) + 1),
    ]
    if default is not msgspec.UNSET:
        attribute = Datastore.default_version_id
        actions.append(attribute.remove() if default is None else attribute.set(default))

    def build(write: TransactWrite) -> None:
        write.update(datastore, actions=actions, condition=_as_read(datastore))
        for version_id, values in (versions or {}).items():
            seen = ungrouped if ungrouped is not None and ungrouped.id == version_id else None
            same = None if seen is None else _grouped_as_read(seen)
            write.update(DatastoreVersion(version_id), actions=_setting(values), condition=same)
        if removed is not None:
            write.delete(removed, condition=_grouped_as_read(removed))

    return transacted(build, claim)


def withdraw(datastore: Datastore) -> bool:
    """Remove a datastore; False when it or a version of it was changed meanwhile."""

    def build(write: TransactWrite) -> None:
        write.delete(datastore, condition=_as_read(datastore))

    return transacted(build)


def _as_read(datastore: Datastore) -> Condition:
    revision = int(datastore.revision)
    return Datastore.revision == revision if revision else Datastore.revision.does_not_exist()


def _grouped_as_read(version: DatastoreVersion) -> Condition:
    grouped, column = int(version.grouped), DatastoreVersion.grouped
    same = column == grouped
    return same if grouped else same | column.does_not_exist()


def _setting(version: Mapping[str, Any]) -> list[Action]:
    attributes = {name: getattr(DatastoreVersion, name) for name in version}
    return [
        attribute.remove() if version[name] is None else attribute.set(version[name])
        for name, attribute in attributes.items()
    ]
