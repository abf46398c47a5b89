"""Nova's server groups: their policies, their quota, and which host a member may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.errors import BadRequest, NotFound, QuotaExceeded
from simulator.cloud.model.faults import Faults
from simulator.cloud.model.quota import Quotas
from simulator.cloud.model.seams import Ids
from simulator.cloud.model.server import Server
from simulator.cloud.model.settings import HOSTS

POLICIES: Final = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")


@dataclass(frozen=True)
class ServerGroup:
    """A group. Its members are the servers that name it and are there."""

    id: str
    name: str
    project_id: str
    user_id: str
    policy: str

    @property
    def description(self) -> str:
        """Nova gives a group none: its name is all that can say whose it is."""
        return self.name


class ServerGroups:
    """Groups by id."""

    def __init__(
        self, ids: Ids, faults: Faults, quotas: Quotas, servers: Mapping[str, Server]
    ) -> None:
        self._ids = ids
        self._faults = faults
        self._quotas = quotas
        self._servers = servers
        self.groups: dict[str, ServerGroup] = {}

    def create(self, caller: Caller, name: str, policy: str) -> ServerGroup:
        """Make a group; names may repeat."""
        caller.require_write("os_compute_api:os-server-groups:create")
        with self._faults.around("compute", "create_server_group", name):
            if policy not in POLICIES:
                raise BadRequest(f"Invalid input for field/attribute policy. Value: {policy}.")
            own = sum(each.project_id == caller.project_id for each in self.groups.values())
            used = {"server_groups": own}
            if self._quotas.exceeded(caller.project_id, used, {"server_groups": 1}):
                raise QuotaExceeded("Quota exceeded, too many server groups.")
            group = ServerGroup(self._ids.uuid(), name, caller.project_id, caller.user_id, policy)
            self.groups[group.id] = group
            return group

    def get(self, caller: Caller, group_id: str) -> ServerGroup:
        """A group that the caller may see, or NotFound."""
        found = self.groups.get(group_id)
        if found is None or not caller.may_see(found.project_id):
            raise NotFound(f"Instance group {group_id} could not be found.")
        return found

    def of_project(self, caller: Caller, *, every: bool = False) -> list[ServerGroup]:
        """The groups of the caller's project, or an administrator's look at `every` one."""
        with self._faults.around("compute", "list_server_groups", ""):
            groups = list(self.groups.values())
        if every and caller.is_admin:
            return groups
        return [each for each in groups if each.project_id == caller.project_id]

    def delete(self, caller: Caller, group_id: str) -> None:
        """Delete a group; its servers stay."""
        group = self.get(caller, group_id)
        caller.require_write("os_compute_api:os-server-groups:delete")
        with self._faults.around("compute", "delete_server_group", group.name):
            self.groups.pop(group.id, None)

    def members(self, group: ServerGroup) -> list[Server]:
        """The servers that were made in the group and are there."""
        return [each for each in self._servers.values() if each.group_id == group.id]

    def host(self, caller: Caller, group_id: str) -> str | None:
        """The host of a new member; None when none of the cloud's has room by the policy.

        The soft policies take what there is.
        """
        try:
            group = self.get(caller, group_id)
        except NotFound as error:
            raise BadRequest(str(error)) from error
        members = self.members(group)
        if self._quotas.exceeded(
            caller.project_id, {"server_group_members": len(members)}, {"server_group_members": 1}
        ):
            raise QuotaExceeded("Quota exceeded, too many servers in group")
        taken = {each.host for each in members}
        if not taken:
            return HOSTS[0]
        if "anti" not in group.policy:
            return members[0].host
        free = [each for each in HOSTS if each not in taken]
        soft = group.policy.startswith("soft")
        return free[0] if free else HOSTS[0] if soft else None
