"""How Neutron renders networks, subnets, ports, security groups and rules."""

from __future__ import annotations

from simulator.cloud.http.plumbing import Json, timestamp
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.floating import FloatingAddress
from simulator.cloud.model.network import Network, NetworkService, Port, Subnet
from simulator.cloud.model.security_groups import Rule, SecurityGroup
from simulator.cloud.model.sharing import ACTION, Policy

COLLECTIONS = ("networks", "subnets", "ports", "security-groups", "security-group-rules")
EXTENSIONS: list[Json] = [
    {"alias": alias, "name": name, "description": name, "updated": "2020-01-01T00:00:00-00:00"}
    for alias, name in (
        ("security-group", "security-group"),
        ("port-security", "Port Security"),
        ("external-net", "Neutron external network"),
        ("standard-attr-tag", "Tag support for resources with standard attribute"),
        ("standard-attr-description", "standard-attr-description"),
        ("standard-attr-timestamp", "Resource timestamps"),
        ("quotas", "Quota management support"),
        ("binding", "Port Binding"),
        ("rbac-policies", "RBAC Policies"),
        ("project-id", "project_id field enabled"),
        ("pagination", "Pagination support"),
        ("sorting", "Sorting support"),
    )
]


def version(url: str) -> Json:
    """The version document of the v2.0 API."""
    link = {"rel": "self", "href": f"{url}/v2.0/"}
    return {"id": "v2.0", "status": "CURRENT", "links": [link]}


def resources(url: str) -> list[Json]:
    """What `/v2.0/` tells of the collections."""
    return [
        {
            "name": name.rstrip("s").replace("-", "_"),
            "collection": name.replace("-", "_"),
            "links": [{"rel": "self", "href": f"{url}/v2.0/{name}"}],
        }
        for name in COLLECTIONS
    ]


def network(one: Network, neutron: NetworkService, caller: Caller) -> Json:
    """A network, as the caller sees it: it may be shared with some projects only."""
    return {
        "id": one.id,
        "name": one.name,
        "project_id": one.project_id,
        "tenant_id": one.project_id,
        "description": one.description,
        "status": "ACTIVE",
        "admin_state_up": one.admin_state_up,
        "shared": neutron.is_shared(caller, one),
        "router:external": one.external,
        "subnets": [s.id for s in neutron.subnets.values() if s.network_id == one.id],
        "mtu": 1500,
        "availability_zones": ["nova"],
        "availability_zone_hints": [],
        "port_security_enabled": True,
        "is_default": False,
        "tags": one.tags,
        "revision_number": 1,
        "created_at": timestamp(one.created_at),
        "updated_at": timestamp(one.updated_at),
    }


def subnet(one: Subnet) -> Json:
    """A subnet."""
    begin = int(one.cidr.network_address)
    pool = {"start": str(one.cidr[one.first - begin]), "end": str(one.cidr[one.last - begin])}
    return {
        "id": one.id,
        "name": one.name,
        "network_id": one.network_id,
        "project_id": one.project_id,
        "tenant_id": one.project_id,
        "description": one.description,
        "cidr": str(one.cidr),
        "ip_version": one.cidr.version,
        "gateway_ip": one.gateway,
        "allocation_pools": [pool],
        "enable_dhcp": one.enable_dhcp,
        "dns_nameservers": [],
        "host_routes": [],
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        "subnetpool_id": None,
        "tags": one.tags,
        "revision_number": 1,
        "created_at": timestamp(one.created_at),
        "updated_at": timestamp(one.created_at),
    }


def port(one: Port) -> Json:
    """A port."""
    return {
        "id": one.id,
        "name": one.name,
        "network_id": one.network_id,
        "project_id": one.project_id,
        "tenant_id": one.project_id,
        "description": one.description,
        "mac_address": one.mac_address,
        "fixed_ips": [{"subnet_id": s, "ip_address": a} for s, a in one.fixed_ips],
        "security_groups": one.security_group_ids,
        "device_id": one.device_id,
        "device_owner": one.device_owner,
        "status": one.status,
        "admin_state_up": one.admin_state_up,
        "port_security_enabled": True,
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "binding:vnic_type": "normal",
        "tags": one.tags,
        "revision_number": 1,
        "created_at": timestamp(one.created_at),
        "updated_at": timestamp(one.updated_at),
    }


def floating(one: FloatingAddress) -> Json:
    """A floating address."""
    return {
        "id": one.id,
        "floating_ip_address": one.address,
        "floating_network_id": one.network_id,
        "fixed_ip_address": one.address if one.port_id else None,
        "port_id": one.port_id,
        "router_id": None,
        "project_id": one.project_id,
        "tenant_id": one.project_id,
        "description": one.description,
        "status": "ACTIVE" if one.port_id else "DOWN",
        "tags": one.tags,
        "revision_number": 1,
        "created_at": timestamp(one.created_at),
        "updated_at": timestamp(one.updated_at),
    }


def security_group(one: SecurityGroup) -> Json:
    """A security group with its rules."""
    return {
        "id": one.id,
        "name": one.name,
        "project_id": one.project_id,
        "tenant_id": one.project_id,
        "description": one.description,
        "stateful": True,
        "shared": False,
        "security_group_rules": [rule(r) for r in one.rules.values()],
        "tags": one.tags,
        "revision_number": 1,
        "created_at": timestamp(one.created_at),
        "updated_at": timestamp(one.updated_at),
    }


def policy(one: Policy) -> Json:
    """An RBAC policy."""
    return {
        "id": one.id,
        "object_type": "network",
        "object_id": one.network_id,
        "action": ACTION,
        "target_project": one.target,
        "target_tenant": one.target,
        "project_id": one.project_id,
        "tenant_id": one.project_id,
    }


def rule(one: Rule) -> Json:
    """A rule of a security group."""
    return {
        "id": one.id,
        "security_group_id": one.group_id,
        "project_id": one.project_id,
        "tenant_id": one.project_id,
        "direction": one.traffic.direction,
        "ethertype": one.traffic.ethertype,
        "protocol": one.traffic.protocol,
        "port_range_min": one.traffic.port_range_min,
        "port_range_max": one.traffic.port_range_max,
        "remote_ip_prefix": one.traffic.remote_ip_prefix,
        "remote_group_id": one.traffic.remote_group_id,
        "remote_address_group_id": None,
        "description": one.description,
        "tags": [],
        "revision_number": 0,
        "created_at": timestamp(one.created_at),
        "updated_at": timestamp(one.created_at),
    }
