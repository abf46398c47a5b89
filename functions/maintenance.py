"""Maintenance on a schedule: mirrors the flavors and removes what no live instance owns."""

from __future__ import annotations

import logging
from typing import Any, Final

from chalicelib import aws, crash
from chalicelib.cloud import flavors, names, network, servers, volumes
from chalicelib.cloud.errors import CloudError
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import events, instances
from chalicelib.store.models import Flavor

ORPHAN_AGE_SECONDS: Final = 900

log = logging.getLogger(__name__)


def run() -> dict[str, Any]:
    """Mirror and collect; answers how many flavors are mirrored and what was removed."""
    with crash.scope("maintenance"):
        return {"flavors": mirror_flavors(), "removed": remove_orphans()}


def mirror_flavors() -> int:
    """Make the flavors table equal to Nova's list."""
    present = {each.id: each for each in flavors.list_all()}
    with Flavor.batch_write() as batch:
        for each in present.values():
            batch.save(
                Flavor(
                    id=each.id,
                    name=each.name,
                    ram=each.ram,
                    vcpus=each.vcpus,
                    disk=each.disk,
                    ephemeral=each.ephemeral,
                )
            )
        for row in Flavor.scan():
            if row.id not in present:
                batch.delete(row)
    return len(present)


def remove_orphans() -> int:
    """Delete servers, volumes, ports and groups named for instances that have been gone a while.

    A thing is an orphan when its instance's row says DELETED, or is not there at all, and nothing
    can be making it any more; the flows remove their own, so each one found is an event.
    """
    removed = 0
    pattern = f"^{settings().prefix}-[0-9a-f-]{{36}}-[0-9]+$"
    for server in servers.find(pattern):
        removed += _remove("server", server.name, lambda each=server: servers.delete(each.id))
    for volume in volumes.list_all(f"{settings().prefix}-"):
        removed += _remove("volume", volume.name, lambda each=volume: volumes.delete(each.id))
    for port in network.list_ports(f"{settings().prefix}-"):
        removed += _remove("port", port.name, lambda each=port: network.delete_port(each.id))
    for group in network.list_security_groups(f"{settings().prefix}-"):
        removed += _remove(
            "security group",
            group.name,
            lambda each=group: network.delete_security_group(each.id),
        )
    return removed


def _remove(kind: str, name: str, delete: Any) -> int:
    instance_id = names.instance_of(name)
    if instance_id is None or not _orphaned(instance_id):
        return 0
    log.warning("removing an orphan: %s %s", kind, name)
    events.record(instance_id, "orphan.removed", f"{kind} {name} belonged to no live instance.")
    try:
        delete()
    except CloudError as error:
        log.warning("the orphan %s %s stays for now: %s", kind, name, error)
        return 0
    return 1


def _orphaned(instance_id: str) -> bool:
    row = instances.find_instance(instance_id)
    if row is None:
        return True
    gone_for = aws.clock() - (row.deleted_at or aws.clock())
    return bool(row.status == Status.DELETED and gone_for >= ORPHAN_AGE_SECONDS)
