"""I15, broken on purpose, is told."""

from __future__ import annotations

from simulator.cloud.model.security_groups import Traffic
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import told_by


def rule_nobody_asked_for(deployment: Deployment) -> None:
    cloud = deployment.cloud
    groups = cloud.network.security_groups.groups.values()
    group = next(each for each in groups if each.name.startswith("coffer-"))
    traffic = Traffic("ingress", protocol="tcp", remote_ip_prefix="203.0.113.0/24")
    cloud.network.security_groups.create_rule(cloud.admin(), group.id, traffic)
    deployment.invariants.check()


def public_address_untold(deployment: Deployment) -> None:
    cloud = deployment.cloud
    port = next(p for p in cloud.network.ports.values() if p.name.startswith("coffer-"))
    outside = next(n.id for n in cloud.network.networks.values() if n.external)
    cloud.network.floating.create(cloud.admin(), outside, port.id, port.description)
    deployment.invariants.check()


test_a_broken_promise_is_told = told_by("I15", rule_nobody_asked_for, public_address_untold)
