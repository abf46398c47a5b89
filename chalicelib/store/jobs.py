"""How far a job has come that takes more than one run of its function."""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib import aws
from chalicelib.store.models import Job

ORPHAN_LOOK = "orphan-look"
PROPOSED = "proposed-datastores"


class OrphanLook(msgspec.Struct):
    """A round of the look for leftovers: when it begins, which kind and thing it is at, counts."""

    begins: float = 0.0
    kind: int = 0
    after: str | None = None
    seen: int = 0
    unknown: int = 0
    condemned: int = 0


def orphan_look() -> OrphanLook:
    """The round that is under way, or a new one."""
    try:
        row = Job.get(ORPHAN_LOOK, consistent_read=True)
    except Job.DoesNotExist:
        return OrphanLook()
    return msgspec.convert(row.state, OrphanLook)


def store_orphan_look(found: OrphanLook) -> None:
    """Remember how far the round is. Two runs at once see the same things twice, no more."""
    Job(id=ORPHAN_LOOK, state=msgspec.to_builtins(found), updated=aws.clock()).save()


def proposed() -> dict[str, Any]:
    """What a deployment offered last: of each datastore version by its id, of each datastore which
    version is the default."""
    try:
        row = Job.get(PROPOSED, consistent_read=True)
    except Job.DoesNotExist:
        return {}
    found: dict[str, Any] = row.state
    return found


def store_proposed(what: dict[str, Any]) -> None:
    """Remember it; two deployments at once remember the same."""
    Job(id=PROPOSED, state=what, updated=aws.clock()).save()
