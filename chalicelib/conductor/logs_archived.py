"""Archives of logs between the rows and what guests are told and tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chalicelib.bus.contract import arguments
from chalicelib.bus.contract.archiving import ArchiveState, Archiving
from chalicelib.domain.archives import State
from chalicelib.settings import settings
from chalicelib.store import archives
from chalicelib.store.archives import Order, Told
from chalicelib.store.models import Archive


def as_told(row: Archive | None) -> arguments.Archive | None:
    """An archive as its guest is told of it."""
    if row is None:
        return None
    return arguments.Archive(row.id, row.location, settings().archive_seconds)


_STATES: Final = {
    ArchiveState.WAITS: State.WAITS,
    ArchiveState.RESTART: State.RESTART,
    ArchiveState.RUNS: State.RUNS,
    ArchiveState.BROKEN: State.RUNS,  # until its end is written
}


def tell(rows: Mapping[str, Archive], instance_id: str, order: Order, said: Archiving) -> None:
    """Write what a guest tells of the archive of its own instance; nothing of another's."""
    row = rows.get(said.id)
    if row is None or row.instance_id != instance_id:
        return
    archives.tell(
        row,
        order,
        Told(
            state=_STATES[said.state],
            broken=said.state is ArchiveState.BROKEN,
            number=said.number,
            sha256=said.sha256,
            from_ms=said.from_ms,
            until_ms=said.until_ms,
            waiting=said.waiting,
            reason=said.reason,
        ),
    )
