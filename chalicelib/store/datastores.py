"""Datastores and their versions: few rows, written by an operator, read as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.store.models import Datastore, DatastoreVersion


def offer(datastore: Datastore, versions: Sequence[DatastoreVersion]) -> None:
    """Store a datastore after its versions; rows that exist are written again as they are."""
    for version in versions:
        version.save()
    datastore.save()


def all_datastores() -> list[Datastore]:
    """Every datastore, by name."""
    return sorted(Datastore.scan(), key=lambda row: row.name)


def all_versions() -> list[DatastoreVersion]:
    """Every version of every datastore, active or not, by name and number."""
    return sorted(DatastoreVersion.scan(), key=lambda row: (row.name, row.version, row.id))
