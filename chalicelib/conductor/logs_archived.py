"""Archives of logs between the rows and what guests are told and tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chalicelib import aws
from chalicelib.bus.contract import arguments
from chalicelib.bus.contract.archiving import ArchiveState, Archiving
from chalicelib.domain.archives import State
from chalicelib.domain.backups import bandwidth
from chalicelib.settings import settings
from chalicelib.store import archives
from chalicelib.store.archives import Order, Told
from chalicelib.store.models import Archive


def as_told(row: Archive | None) -> arguments.Archive | None:
    """An archive as its guest is told of it."""
    if row is None:
        return None
    known = settings()
    sent = bandwidth(known.backup_bytes_per_second)
    return arguments.Archive(row.id, row.location, known.archive_seconds, sent)


MOST_AHEAD_MS: Final = 15 * 60_000
"""So far ahead of ours a guest's clock may be."""
AHEAD: Final = "The clock of its server is ahead by more than a quarter of an hour."
_STATES: Final = {
    ArchiveState.WAITS: State.WAITS,
    ArchiveState.RESTART: State.RESTART,
    ArchiveState.RUNS: State.RUNS,
    ArchiveState.BROKEN: State.RUNS,  # until its end is written
}


def tell(rows: Mapping[str, Archive], instance_id: str, order: Order, said: Archiving) -> None:
    """Write what a guest tells of the archive of its own instance; nothing of another's.

    Nothing is told of moments that are still to come: what a clock says that is ahead counts until
    now, and one that is far ahead ends its archive.
    """
    row = rows.get(said.id)
    if row is None or row.instance_id != instance_id:
        return
    now_ms = int(aws.clock() * 1000)
    told = Told(
        state=_STATES[said.state],
        broken=said.state is ArchiveState.BROKEN,
        number=said.number,
        sha256=said.sha256,
        from_ms=min(said.from_ms, now_ms),
        until_ms=min(said.until_ms, now_ms),
        until_position=said.until_position,
        waiting=said.waiting,
        reason=said.reason,
    )
    if said.until_ms > now_ms + MOST_AHEAD_MS:
        told = told._replace(broken=True, until_ms=0, reason=AHEAD)
    archives.tell(row, order, told)
