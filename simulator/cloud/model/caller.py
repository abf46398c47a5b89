"""Who makes a call, and the policy of this cloud: a member sees one project, an admin all.

The role `service` adds what OpenStack's defaults give it: to validate tokens (Keystone), and to see
and use the networks and ports of all projects (Neutron). The role `manager` may migrate the servers
of its project (Nova), but for a host that it names, unless the cloud's own policy allows that too.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.cloud.model.errors import Forbidden


@dataclass(frozen=True)
class Caller:
    """A validated token's user, project and roles."""

    user_id: str
    project_id: str
    roles: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether the token carries the admin role, which this cloud takes as cloud-wide."""
        return "admin" in self.roles

    @property
    def is_service(self) -> bool:
        """Whether the token is another service's, or an admin's."""
        return bool(self.roles & {"admin", "service"})

    def may_see(self, project_id: str) -> bool:
        """Whether a resource of that project exists for this caller."""
        return self.is_admin or self.project_id == project_id

    def may_connect(self, project_id: str) -> bool:
        """Whether a network or a port of that project exists for this caller."""
        return self.is_service or self.project_id == project_id

    def require_admin(self, rule: str) -> None:
        """Raise Forbidden in the words of oslo.policy unless the caller is an admin."""
        if not self.is_admin:
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")

    def require_role(self, rule: str, role: str) -> None:
        """Raise Forbidden unless the caller has that role, or is an admin."""
        if not self.roles & {"admin", role}:
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")

    def require_write(self, rule: str) -> None:
        """Raise Forbidden for a token that may only read."""
        if not self.roles & {"admin", "member"}:
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")
