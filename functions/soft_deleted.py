"""Servers that somebody deleted and Nova keeps (`reclaim_instance_interval`): SOFT_DELETED.

Our own deletes are forced, and leave none. One that an operator deleted by hand is in no list, and
holds its instance's volume until Nova reclaims it, days later: it is found by that volume.
"""

from __future__ import annotations

from chalicelib.cloud import servers, volumes


def free(disk: volumes.Volume) -> None:
    """Have every such server ended that holds the volume and is of the same instance."""
    owner = disk.owner or disk.kept_for
    for server_id in disk.server_ids if owner is not None else ():
        kept = servers.find_soft_deleted(server_id)
        if kept is not None and kept.owner == owner and not kept.moving:
            servers.delete(kept.id)
