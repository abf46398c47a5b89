"""Indexes that more than one table has. Each is sparse: a deleted row has no `index_tenant`."""

from __future__ import annotations

from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection

from chalicelib.store.base import INDEXES


class TenantIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """What a tenant has, by id."""

    class Meta:
        index_name = INDEXES.TENANT
        projection = AllProjection()

    index_tenant = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class VersionIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """What is of a datastore version."""

    class Meta:
        index_name = INDEXES.VERSION
        projection = KeysOnlyProjection()

    datastore_version_id = UnicodeAttribute(hash_key=True)
    index_tenant = UnicodeAttribute(range_key=True)
