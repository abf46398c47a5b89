"""The job `restore_groups` of a restore of tables: who has which configuration group.

    instances     each against its group
    groups        each against its datastore version
    attachments   those of nobody

`store.restoring_groups` says what is put right. It comes after `adopt`, which makes rows again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from chalicelib.store import restoring_groups
from chalicelib.store.base import Table
from chalicelib.store.models import Attachment, Configuration, Instance
from functions.restoration import Page, scan


class _Part(NamedTuple):
    """A table, its key, what puts a page of it right, and the part that comes after it."""

    model: type[Table]
    key: tuple[str, ...]
    mend: Callable[..., list[str]]
    then: str | None


_FIRST: Final = "instances"
_PARTS: Final = {
    _FIRST: _Part(Instance, ("id",), restoring_groups.of_instances, "groups"),
    "groups": _Part(Configuration, ("id",), restoring_groups.of_groups, "attachments"),
    "attachments": _Part(
        Attachment, ("configuration_id", "instance_id"), restoring_groups.of_attachments, None
    ),
}


def restore_groups(event: dict[str, Any]) -> dict[str, Any]:
    """Put a page right; `after` has the parts of a key, with a slash in between."""
    asked = msgspec.convert(event, Page)
    name = asked.part or _FIRST
    part = _PARTS[name]
    begins = None
    if asked.after is not None:
        values = asked.after.split("/")
        begins = {each: {"S": value} for each, value in zip(part.key, values, strict=True)}
    rows = scan(part.model, begins)
    told = part.mend(rows, check=asked.check)
    following: dict[str, Any] | None = {"part": part.then} if part.then else None
    if (last := rows.last_evaluated_key) is not None:
        following = {"part": name, "after": "/".join(last[each]["S"] for each in part.key)}
    return {"told": told, "next": following}
