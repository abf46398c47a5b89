"""Neutron's RBAC policies: networks that one project shares with another, or with all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.errors import BadRequest, Conflict, Forbidden, NotFound
from simulator.cloud.model.seams import Ids

EVERYBODY = "*"
ACTION = "access_as_shared"


@dataclass(frozen=True)
class Policy:
    """That a network is shared with a project, and the project that said so."""

    id: str
    network_id: str
    project_id: str
    target: str


class Sharing:
    """Policies by id. `in_use` tells whether a project has ports in a network."""

    def __init__(self, ids: Ids, in_use: Callable[[str, str], bool]) -> None:
        self._ids = ids
        self._in_use = in_use
        self.policies: dict[str, Policy] = {}

    def with_(self, project_id: str, network_id: str) -> bool:
        """Whether a network is shared with a project by a policy."""
        return any(
            policy.network_id == network_id and policy.target in (project_id, EVERYBODY)
            for policy in self.policies.values()
        )

    def forget(self, network_id: str) -> None:
        """End the policies of a network that is no more."""
        kept = (each for each in self.policies.values() if each.network_id != network_id)
        self.policies = {each.id: each for each in kept}

    def create(self, caller: Caller, owner: str, network_id: str, target: str) -> Policy:
        """Share a network of the caller's; with everybody only as an administrator."""
        caller.require_write("create_rbac_policy")
        if target == EVERYBODY and not caller.is_admin:
            raise Forbidden("rule:create_rbac_policy is disallowed by policy")
        if not caller.may_see(owner):
            raise BadRequest(
                "Invalid input for operation: Only admins can manipulate policies on objects they "
                "do not own.",
                kind="InvalidInput",
            )
        if any((p.network_id, p.target) == (network_id, target) for p in self.policies.values()):
            raise Conflict(
                "An RBAC policy already exists with those values.", kind="DuplicateRbacPolicy"
            )
        made = Policy(self._ids.uuid(), network_id, caller.project_id, target)
        self.policies[made.id] = made
        return made

    def list(self, caller: Caller) -> list[Policy]:
        """The policies of the caller's project: not those that share something with it."""
        return [each for each in self.policies.values() if caller.may_see(each.project_id)]

    def get(self, caller: Caller, policy_id: str) -> Policy:
        """One of them, or NotFound."""
        found = self.policies.get(policy_id)
        if found is None or not caller.may_see(found.project_id):
            raise NotFound(
                f"RBAC policy of type network with ID {policy_id} not found",
                kind="RbacPolicyNotFound",
            )
        return found

    def delete(self, caller: Caller, policy_id: str) -> None:
        """End a policy; Conflict while its target has ports in the network."""
        policy = self.get(caller, policy_id)
        if self._in_use(policy.target, policy.network_id):
            raise Conflict(
                f"RBAC policy on object {policy.network_id} cannot be removed because other "
                f"objects depend on it.\nDetails: Unable to reconfigure sharing settings for "
                f"network {policy.network_id}. Multiple tenants are using it.",
                kind="RbacPolicyInUse",
            )
        del self.policies[policy_id]
