"""Neutron's security groups and their rules; each project gets a `default` group on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.errors import BadRequest, Conflict, NotFound, QuotaExceeded
from simulator.cloud.model.faults import Faults
from simulator.cloud.model.quota import Quotas
from simulator.cloud.model.seams import Clock, Ids


@dataclass(frozen=True)
class Traffic:
    """What a rule lets through; two rules of a group may not be the same."""

    direction: str
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None


@dataclass
class Rule:
    """A rule of a security group."""

    id: str
    group_id: str
    project_id: str
    traffic: Traffic
    created_at: float
    description: str = ""


@dataclass(slots=True)
class SecurityGroup:
    """A security group; its rules are kept by id."""

    id: str
    name: str
    project_id: str
    created_at: float
    updated_at: float
    description: str = ""
    rules: dict[str, Rule] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)


class SecurityGroups:
    """Security groups by id."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        faults: Faults,
        quotas: Quotas,
        in_use: Callable[[str], bool],
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._faults = faults
        self._quotas = quotas
        self._in_use = in_use
        self.groups: dict[str, SecurityGroup] = {}

    def default(self, project_id: str) -> SecurityGroup:
        """The project's `default` group, made when it is missing."""
        for group in self.groups.values():
            if group.project_id == project_id and group.name == "default":
                return group
        group = self._add(project_id, "default", "Default security group")
        for ethertype in ("IPv4", "IPv6"):
            self._add_rule(group, Traffic("ingress", ethertype, remote_group_id=group.id))
        return group

    def create(
        self,
        caller: Caller,
        project_id: str,
        name: str,
        description: str = "",
        tags: Iterable[str] = (),
    ) -> SecurityGroup:
        """Make a group with the two rules that let everything out; names need not be unique."""
        caller.require_write("create_security_group")
        with self._faults.around("network", "create_security_group", name):
            if name == "default":
                raise Conflict(
                    "Default security group already exists.",
                    kind="SecurityGroupDefaultAlreadyExists",
                )
            self.default(project_id)
            used = sum(1 for group in self.groups.values() if group.project_id == project_id)
            self._check_quota(project_id, "security_group", used)
            group = self._add(project_id, name, description)
            group.tags.extend(tags)
            return group

    def get(self, caller: Caller, group_id: str) -> SecurityGroup:
        """A group that the caller may see, or NotFound."""
        group = self.groups.get(group_id)
        if group is None or not caller.may_see(group.project_id):
            raise NotFound(
                f"Security group {group_id} does not exist", kind="SecurityGroupNotFound"
            )
        return group

    def show(self, caller: Caller, group_id: str) -> SecurityGroup:
        """As `get`, as a call of its own (a fault may hit it)."""
        group = self.get(caller, group_id)
        with self._faults.around("network", "get_security_group", group.name):
            return group

    def list(self, caller: Caller) -> list[SecurityGroup]:
        """The groups that the caller may see; the caller's `default` one is always among them."""
        with self._faults.around("network", "list_security_groups", ""):
            if caller.project_id:
                self.default(caller.project_id)
            return [group for group in self.groups.values() if caller.may_see(group.project_id)]

    def update(self, caller: Caller, group_id: str, changes: dict[str, object]) -> SecurityGroup:
        """Change name or description."""
        group = self.get(caller, group_id)
        with self._faults.around("network", "update_security_group", group.name):
            group.name = str(changes.get("name", group.name))
            group.description = str(changes.get("description", group.description))
            group.updated_at = self._clock()
            return group

    def delete(self, caller: Caller, group_id: str) -> None:
        """Remove a group; Conflict while a port uses it, or for a member's `default`."""
        group = self.get(caller, group_id)
        with self._faults.around("network", "delete_security_group", group.name):
            if self._in_use(group_id):
                raise Conflict(f"Security Group {group_id} in use.", kind="SecurityGroupInUse")
            if group.name == "default" and not caller.is_admin:
                raise Conflict(
                    "Removing default security group not allowed.",
                    kind="SecurityGroupCannotRemoveDefault",
                )
            del self.groups[group_id]

    def create_rule(
        self, caller: Caller, group_id: str, traffic: Traffic, description: str = ""
    ) -> Rule:
        """Add a rule; BadRequest for a wrong range, Conflict when the group has the same rule."""
        group = self.get(caller, group_id)
        caller.require_write("create_security_group_rule")
        with self._faults.around("network", "create_security_group_rule", group.name):
            _check_traffic(traffic)
            if traffic.remote_group_id:
                self.get(caller, traffic.remote_group_id)
            for rule in group.rules.values():
                if rule.traffic == traffic:
                    raise Conflict(
                        f"Security group rule already exists. Rule id is {rule.id}.",
                        kind="SecurityGroupRuleExists",
                    )
            used = sum(
                len(other.rules)
                for other in self.groups.values()
                if other.project_id == group.project_id
            )
            self._check_quota(group.project_id, "security_group_rule", used)
            return self._add_rule(group, traffic, description)

    def rules(self, caller: Caller) -> Sequence[Rule]:
        """The rules of the groups that the caller may see."""
        with self._faults.around("network", "list_security_group_rules", ""):
            return [
                rule
                for group in self.groups.values()
                if caller.may_see(group.project_id)
                for rule in group.rules.values()
            ]

    def rule(self, caller: Caller, rule_id: str) -> Rule:
        """A rule that the caller may see, or NotFound."""
        for group in self.groups.values():
            if rule_id in group.rules and caller.may_see(group.project_id):
                return group.rules[rule_id]
        raise NotFound(
            f"Security group rule {rule_id} does not exist", kind="SecurityGroupRuleNotFound"
        )

    def delete_rule(self, caller: Caller, rule_id: str) -> None:
        """Remove a rule."""
        rule = self.rule(caller, rule_id)
        group = self.groups[rule.group_id]
        with self._faults.around("network", "delete_security_group_rule", group.name):
            del group.rules[rule_id]

    def _add(self, project_id: str, name: str, description: str) -> SecurityGroup:
        now = self._clock()
        group = SecurityGroup(self._ids.uuid(), name, project_id, now, now, description)
        self.groups[group.id] = group
        for ethertype in ("IPv4", "IPv6"):
            self._add_rule(group, Traffic("egress", ethertype))
        return group

    def _add_rule(self, group: SecurityGroup, traffic: Traffic, description: str = "") -> Rule:
        rule = Rule(
            self._ids.uuid(), group.id, group.project_id, traffic, self._clock(), description
        )
        group.rules[rule.id] = rule
        return rule

    def _check_quota(self, project_id: str, resource: str, used: int) -> None:
        if self._quotas.exceeded(project_id, {resource: used}, {resource: 1}):
            raise QuotaExceeded(f"Quota exceeded for resources: ['{resource}'].", status=409)


def _check_traffic(traffic: Traffic) -> None:
    if traffic.direction not in ("ingress", "egress"):
        raise BadRequest(
            f"Invalid input for direction. Reason: '{traffic.direction}' is not in "
            "['ingress', 'egress']."
        )
    low, high = traffic.port_range_min, traffic.port_range_max
    if low is not None and high is not None and traffic.protocol in ("tcp", "udp") and low > high:
        raise BadRequest(
            "For TCP/UDP protocols, port_range_min must be <= port_range_max",
            kind="SecurityGroupInvalidPortRange",
        )
