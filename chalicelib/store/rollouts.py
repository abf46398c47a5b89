"""Rollout rows, and the instances that one goes through.

One runs at a time: `jobs` names the newest one, and nobody makes another while its operation lives.
A row of a restored table cannot keep the next one out, since its operation tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from chalicelib import aws
from chalicelib.domain.flows import REBUILD, REBUILD_STOPPED, UPGRADE_AGENT, Flow
from chalicelib.domain.operations import OperationAction
from chalicelib.domain.rollouts import Progress, Wanted
from chalicelib.errors import NotFound
from chalicelib.status import RolloutStatus, Status
from chalicelib.store import lists
from chalicelib.store.lists import Filter
from chalicelib.store.models import Instance, Rollout
from chalicelib.store.operations import operations_of

REBUILDS: Final[Mapping[str, Flow]] = {
    Status.ACTIVE: REBUILD,
    Status.STOPPED: REBUILD_STOPPED,
}
"""How an instance is rebuilt, by its status. One in ERROR was broken before, and is left to whoever
knows why: it would count as this image's failure."""

READ_AT_ONCE: Final = 100
MOST_PAGES: Final = 5
"""Read in one look: at most 500 instances that fit, of 5,000 in the table."""
MOST_LISTED: Final = 1000
"""Rows go a month after their end, and a rollout takes minutes at least."""


def new_rollout(tenant_id: str, wanted: Wanted) -> Rollout:
    """A row that is not stored yet."""
    now = aws.clock()
    return Rollout(
        id=aws.new_id(),
        tenant_id=tenant_id,
        status=RolloutStatus.RUNNING,
        created=now,
        updated=now,
        asked=msgspec.to_builtins(wanted),
    )


def get_rollout(rollout_id: str) -> Rollout:
    """The row, read consistently; `NotFound`.

    One that is under way and has no row, since the table was restored to an earlier moment, is
    told by its operation: it has to be seen and stopped.
    """
    try:
        return Rollout.get(rollout_id, consistent_read=True)
    except Rollout.DoesNotExist:
        newest = next(iter(operations_of(rollout_id, 1)), None)
    if newest is None or newest.action != OperationAction.ROLL_OUT or newest.live is None:
        raise NotFound(f"Rollout {rollout_id} cannot be found.")
    row = new_rollout(newest.tenant_id, msgspec.convert(newest.arguments, Wanted))
    row.id, row.created, row.operation_id = rollout_id, newest.created, newest.id
    return row


def newest_rollouts() -> list[Rollout]:
    """All that are kept, newest first, of the first `MOST_LISTED`."""
    rows = list(Rollout.scan(limit=MOST_LISTED))
    return sorted(rows, key=lambda row: (row.created, row.id), reverse=True)


def walk(wanted: Wanted, progress: Progress) -> Progress:
    """Go on through the fleet until as many as there is room for are under way.

    A look is bounded: it may find none, and still not have seen all. What does not fit is skipped.
    """
    under_way = list(progress.under_way)
    behind, walked = progress.behind, progress.walked
    for _ in range(MOST_PAGES):
        rows, following = _page(wanted, behind or None)
        for row in rows:
            if len(under_way) == wanted.at_once:
                break
            behind = row.id
            if fits(row, wanted):
                under_way.append(row.id)
            else:
                has_it = row.image_id == wanted.image_id
                progress = progress.passing_over(row.id, has_it=has_it)
        else:
            walked = following is None
            behind = following or behind
        if walked or len(under_way) == wanted.at_once:
            break
    return msgspec.structs.replace(
        progress, behind=behind, walked=walked, under_way=tuple(under_way)
    )


def fits(row: Instance, wanted: Wanted) -> bool:
    """Whether an instance is to be rebuilt, as it is now, and was not rebuilt on the image last; or
    whether it may have an agent to upgrade."""
    # It may be upgraded meanwhile.
    of_it = wanted.version_id in (None, row.datastore_version_id)
    if row.operation_id is not None or not of_it:
        return False
    if wanted.agent is not None:
        return row.status in UPGRADE_AGENT.sources
    return row.status in REBUILDS and row.image_id != wanted.image_id


def _page(wanted: Wanted, behind: str | None) -> lists.Page:
    chosen = Filter(version_id=wanted.version_id)
    if wanted.project_id is not None:
        return lists.of_tenant(wanted.project_id, READ_AT_ONCE, behind, chosen)
    return lists.of_everybody(READ_AT_ONCE, behind, chosen, None, deleted=False)
