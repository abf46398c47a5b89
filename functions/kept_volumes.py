"""Volumes that outlive their instances because of snapshots, where the row of the instance is lost.

Whether its delete has succeeded the operations tell. One of which nobody knows that may be all of
somebody's data: it stays, and `coffer adopt` tells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chalicelib.cloud import snapshots, volumes
from chalicelib.domain.operations import OperationAction, OperationStatus
from chalicelib.store.models import Operation
from chalicelib.store.operations import operations_of

TOLD = "is kept for snapshots; its instance has no row, and its delete has not succeeded"
LONELY = "is kept, and has no snapshot; its instance has no row, and no delete is known"


def was_deleted(known: Iterable[Operation]) -> bool:
    """Whether a delete is among the operations of an instance that has succeeded."""
    return any(
        (each.action, each.status) == (OperationAction.DELETE, OperationStatus.SUCCEEDED)
        for each in known
    )


def doubtful(page: Iterable[volumes.Volume], rows: Mapping[str, object]) -> list[str]:
    """Which of a page nobody will remove: their instances have none of these rows.

    One of whose instance nothing at all is known was deleted long ago, as long as it has snapshots.
    """
    told = []
    for each in page:
        if each.kept_for is None or each.kept_for in rows:
            continue
        known = operations_of(each.kept_for)
        if known and not was_deleted(known) and not any(one.live for one in known):
            told.append(f"{each.kept_for}: its volume {each.id} {TOLD}")
        elif not known and not snapshots.of_volume(each.id):
            told.append(f"{each.kept_for}: its volume {each.id} {LONELY}")
    return told
