"""The last part of the job `adopt`: backups that are snapshots in the cloud and have no row."""

from __future__ import annotations

from chalicelib.cloud import names, snapshots
from chalicelib.store import backups, restoring_snapshots


def adopt_page(after: str | None, limit: int, *, check: bool) -> tuple[list[str], str | None]:
    """Adopt those of a page; answers what it told, and the last snapshot of the page."""
    page = snapshots.page(after, limit)
    owned = {each.owner: each for each in page if each.owner is not None}
    rows = {row.id for row in backups.find_backups(owned)}
    told = [
        f"backup {backup_id}: {_adopted(backup_id, found, check=check)}"
        for backup_id, found in owned.items()
        if backup_id not in rows
    ]
    return told, page[-1].id if page else None


def _adopted(backup_id: str, found: snapshots.Snapshot, *, check: bool) -> str:
    """What became of one without a row."""
    record = names.record_in(found.metadata)
    row = None
    if record is not None:
        row = restoring_snapshots.row_from(
            backup_id,
            record,
            snapshot_id=found.id,
            volume_id=found.volume_id,
            size_gib=found.size,
        )
    if row is None:
        return "cannot be adopted: its snapshot's metadata holds no record of its row"
    available = found.status == "available"
    if not check and not restoring_snapshots.adopt(row, available=available):
        return "has a row meanwhile"
    return f"{row.name} of {row.tenant_id}, a snapshot that is {found.status}"
