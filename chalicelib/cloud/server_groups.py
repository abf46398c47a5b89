"""Nova server groups: where the servers of one instance may be, beside each other or apart.

A group has neither description nor metadata, so that its name is the mark of its instance.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chalicelib.cloud import names
from chalicelib.cloud.session import cloud_call, connection

PATH: Final = "/os-server-groups"
PAGE: Final = 500
MOST_GROUPS: Final = 100_000
"""So many are looked through: Nova finds none by its name. Its quota of them is 10 by default."""


class ServerGroup(msgspec.Struct, frozen=True):
    """A group, and the instance of this deployment that it belongs to, or None."""

    id: str
    name: str
    owner: str | None


@cloud_call
def find(instance_id: str) -> list[ServerGroup]:
    """The groups of an instance."""
    return [each for each in _all() if each.owner == instance_id]


@cloud_call
def page(after: str | None, limit: int) -> list[ServerGroup]:
    """A page of the groups that the service's project has: those that follow `after`, by id."""
    ordered = sorted(_all(), key=lambda group: group.id)
    return [each for each in ordered if after is None or each.id > after][:limit]


@cloud_call
def create(name: str, policy: str) -> str:
    """Make a group whose servers are placed by the policy; answers its id."""
    return str(connection().compute.create_server_group(name=name, policy=policy).id)


@cloud_call
def delete(group_id: str) -> None:
    """Delete a group, whatever is in it; one that is gone is fine."""
    connection().compute.delete_server_group(group_id, ignore_missing=True)


def _all() -> list[ServerGroup]:
    """Those of the service's own project: Nova shows no others unasked."""
    found: list[ServerGroup] = []
    while len(found) < MOST_GROUPS:
        query = {"limit": PAGE, "offset": len(found)}
        rows: Any = connection().compute.get(PATH, params=query).json()["server_groups"]
        found += [_group(row["id"], row["name"]) for row in rows]
        if len(rows) < PAGE:
            break
    return found


def _group(group_id: str, name: str) -> ServerGroup:
    return ServerGroup(group_id, name, names.marked_in_description(name))
