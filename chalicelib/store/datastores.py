"""Datastores and their versions: few rows, written by an operator, read as a whole."""

from __future__ import annotations

from chalicelib.store.models import Datastore, DatastoreVersion


def all_datastores() -> list[Datastore]:
    """Every datastore, by name."""
    return sorted(Datastore.scan(), key=lambda row: row.name)


def all_versions() -> list[DatastoreVersion]:
    """Every version of every datastore, active or not, by name and number."""
    return sorted(DatastoreVersion.scan(), key=lambda row: (row.name, row.version, row.id))
