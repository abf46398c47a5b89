"""What the cloud keeps of rows, so that a restore of tables can make them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from chalicelib.store.base import Table


class Record(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is alike in all: whose it is, and of which version of which datastore."""

    tenant_id: str
    name: str
    created: float
    datastore_version_id: str
    datastore_name: str
    datastore_version: str
    datastore_version_number: str
    manager: str
    description: str | None = None


R = TypeVar("R", bound=Record)


def of(row: Table, kind: type[Record]) -> dict[str, Any]:
    """What a row can be made again from."""
    found = {name: getattr(row, name) for name in kind.__struct_fields__}
    known = msgspec.convert(found, kind, strict=False)
    record: dict[str, Any] = msgspec.to_builtins(known, order="deterministic")
    return {name: value for name, value in record.items() if value is not None}


def read(record: Mapping[str, Any], kind: type[R]) -> R | None:
    """The record, or None: there is no such one."""
    try:
        return msgspec.convert(record, kind)
    except msgspec.ValidationError:
        return None


def values(known: Record) -> dict[str, Any]:
    """The attributes of a row that a record tells."""
    return {name: getattr(known, name) for name in known.__struct_fields__}
