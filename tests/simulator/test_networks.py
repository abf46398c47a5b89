"""An instance in a network that its project was given, and in one of both families."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.cloud import network
from simulator.cloud.model.caller import Caller
from simulator.region import Reply
from tests.simulator.deployment import TENANT, Deployment

OTHER = Caller("somebody", "other", frozenset({"member"}))


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    made = Deployment()
    yield made
    made.close()


def home(deployment: Deployment, *cidrs: str) -> str:
    """Another project's network."""
    neutron = deployment.cloud.network
    made = neutron.create_network(OTHER, "theirs")
    for cidr in cidrs:
        neutron.create_subnet(OTHER, made.id, cidr)
    return made.id


def ask(deployment: Deployment, network_id: str, **more: Any) -> Reply:
    body = {
        "instance": {
            "name": "shop",
            "flavorRef": "1",
            "volume": {"size": 1},
            "nics": [{"network_id": network_id}],
            **more,
        }
    }
    return call(deployment, "POST", "/instances", body)


def call(deployment: Deployment, method: str, path: str, body: Any = None) -> Reply:
    replies: list[Reply] = []
    deployment.do(lambda: replies.append(deployment.tenant(method, path, body)))
    return replies[0]


def test_a_network_shared_by_rbac_is_used_and_one_that_is_not_is_refused_at_once(
    deployment: Deployment,
) -> None:
    network_id = home(deployment, "10.9.0.0/24")
    refused = ask(deployment, network_id)
    assert (refused.status, f"Network {network_id} cannot be found" in str(refused.body)) == (
        400,
        True,
    )
    assert deployment.instances() == []
    deployment.cloud.network.share(OTHER, network_id, TENANT)
    assert ask(deployment, network_id).status == 200
    deployment.settle()
    (row,) = deployment.instances()
    assert (row["status"], row.get("fault_message")) == ("ACTIVE", None)
    (port,) = deployment.cloud.network.ports.values()
    assert port.network_id == network_id


def test_without_a_neutron_to_ask_the_flow_decides_by_what_the_service_sees(
    deployment: Deployment,
) -> None:
    network_id = home(deployment, "10.9.0.0/24")
    deployment.region.networks = lambda token, project_id, nic: None
    assert ask(deployment, network_id).status == 200
    deployment.settle()
    (row,) = deployment.instances()
    assert row["status"] == "ERROR"
    assert f"Network {network_id} cannot be found." in row["fault_message"]


def test_an_instance_has_an_address_of_each_family_and_lets_in_who_is_named(
    deployment: Deployment,
) -> None:
    network_id = home(deployment, "10.9.0.0/24", "fd00:9::/64")
    deployment.cloud.network.share(OTHER, network_id, TENANT)
    cidrs = ["2001:db8::/33", "2001:DB8:8000::/33", "10.0.0.0/8"]
    assert ask(deployment, network_id, access={"allowed_cidrs": cidrs}).status == 200
    deployment.settle()
    (row,) = deployment.instances()
    assert row["status"] == "ACTIVE"
    shown = call(deployment, "GET", f"/instances/{row['id']}").document["instance"]
    assert sorted(":" in each["address"] for each in shown["addresses"]) == [False, True]
    assert shown["access"]["allowed_cidrs"] == cidrs
    groups = deployment.cloud.network.security_groups.groups.values()
    rules = {
        (rule.traffic.ethertype, rule.traffic.remote_ip_prefix)
        for group in groups
        if str(row["id"]) in group.name
        for rule in group.rules.values()
        if rule.traffic.direction == "ingress"
    }
    assert rules == {("IPv4", "10.0.0.0/8"), ("IPv6", "2001:db8::/32")}
    assert network.canonical("2001:DB8:0::/32") == "2001:db8::/32"
