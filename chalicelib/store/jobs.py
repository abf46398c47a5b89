"""How far a job has come that takes more than one run of its function."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from chalicelib import aws
from chalicelib.store.models import Job

ORPHAN_LOOK = "orphan-look"
STRAY_LOOK = "stray-look"
PROPOSED = "proposed-datastores"

T = TypeVar("T")


class OrphanLook(msgspec.Struct):
    """A round of the look for leftovers: when it begins, which kind and thing it is at, counts."""

    begins: float = 0.0
    kind: int = 0
    after: str | None = None
    seen: int = 0
    unknown: int = 0
    condemned: int = 0


class StrayLook(msgspec.Struct):
    """A round of the look for leftovers of backups: when it begins, which key it is behind, counts
    of backups."""

    begins: float = 0.0
    after: str | None = None
    seen: int = 0
    unknown: int = 0
    condemned: int = 0


def orphan_look() -> OrphanLook:
    """The round that is under way, or a new one."""
    return _known(ORPHAN_LOOK, OrphanLook)


def store_orphan_look(found: OrphanLook) -> None:
    """Remember how far the round is. Two runs at once see the same things twice, no more."""
    _store(ORPHAN_LOOK, msgspec.to_builtins(found))


def stray_look() -> StrayLook:
    """The round that is under way, or a new one."""
    return _known(STRAY_LOOK, StrayLook)


def store_stray_look(found: StrayLook) -> None:
    """Remember how far the round is. Two runs at once see the same backups twice, no more."""
    _store(STRAY_LOOK, msgspec.to_builtins(found))


def proposed() -> dict[str, Any]:
    """What a deployment offered last: of each datastore version by its id, of each datastore which
    version is the default."""
    return _known(PROPOSED, dict[str, Any])


def store_proposed(what: dict[str, Any]) -> None:
    """Remember it; two deployments at once remember the same."""
    _store(PROPOSED, what)


def _known(name: str, kind: type[T]) -> T:
    """What was remembered, else a new one."""
    try:
        row = Job.get(name, consistent_read=True)
    except Job.DoesNotExist:
        return kind()
    return msgspec.convert(row.state, kind)


def _store(name: str, state: dict[str, Any]) -> None:
    Job(id=name, state=state, updated=aws.clock()).save()
