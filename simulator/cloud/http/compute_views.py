"""How Nova renders servers and flavors."""

from __future__ import annotations

from simulator.cloud.http.plumbing import Json, timestamp
from simulator.cloud.model.flavors import Flavor
from simulator.cloud.model.network import NetworkService
from simulator.cloud.model.server import Server, ServerAction, ServerVolume

MICROVERSION = "2.96"
EXTENSIONS_IN_FLAVOR = (2, 47)
SERVER_TAGS = (2, 26)
EXTENDED_SERVER = (2, 3)
SERVER_LOCKED = (2, 9)
SERVER_DESCRIPTION = (2, 19)
REASON_OF_LOCK = (2, 73)


def version(url: str) -> Json:
    """The version document of the v2.1 API."""
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": MICROVERSION,
        "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{url}/v2.1/"}],
        "media-types": [
            {
                "base": "application/json",
                "type": "application/vnd.openstack.compute+json;version=2.1",
            }
        ],
    }


def links(url: str, kind: str, identifier: str) -> list[Json]:
    """Nova's pair of links to a resource."""
    return [
        {"rel": "self", "href": f"{url}/v2.1/{kind}/{identifier}"},
        {"rel": "bookmark", "href": f"{url}/{kind}/{identifier}"},
    ]


def server_summary(server: Server, url: str) -> Json:
    """A row of the short list."""
    return {"id": server.id, "name": server.name, "links": links(url, "servers", server.id)}


def server(one: Server, network: NetworkService, url: str, microversion: tuple[int, int]) -> Json:
    """A server in full."""
    view: Json = {
        **server_summary(one, url),
        "status": one.status,
        "tenant_id": one.project_id,
        "user_id": one.user_id,
        "metadata": one.metadata,
        "hostId": one.host_id,
        "image": {"id": one.image_id, "links": links(url, "images", one.image_id)[1:]},
        "flavor": _flavor_of(one, url, microversion),
        "created": timestamp(one.created_at),
        "updated": timestamp(one.updated_at),
        "addresses": addresses(one, network),
        "accessIPv4": "",
        "accessIPv6": "",
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": one.availability_zone,
        "config_drive": "True" if one.config_drive else "",
        "key_name": one.key_name,
        "OS-SRV-USG:launched_at": _micros(one.launched_at),
        "OS-SRV-USG:terminated_at": None,
        "OS-EXT-STS:task_state": one.task_state,
        "OS-EXT-STS:vm_state": one.vm_state,
        "OS-EXT-STS:power_state": one.power_state,
        "os-extended-volumes:volumes_attached": [{"id": each.volume_id} for each in one.volumes],
        "security_groups": [{"name": name} for name in _group_names(one, network)],
        **_of_later_versions(one, microversion),
    }
    if one.vm_state == "active":
        view["progress"] = 100
    if one.fault is not None:
        view["fault"] = {
            "code": one.fault.code,
            "message": one.fault.message,
            "created": timestamp(one.fault.created),
        }
    return view


def _of_later_versions(one: Server, microversion: tuple[int, int]) -> Json:
    """What a server had not in 2.1: a client of that version may refuse what it does not know."""
    volumes = [
        {"id": each.volume_id, "delete_on_termination": each.delete_on_termination}
        for each in one.volumes
    ]
    added: dict[tuple[int, int], Json] = {
        EXTENDED_SERVER: {
            "OS-EXT-SRV-ATTR:hostname": one.hostname,
            "os-extended-volumes:volumes_attached": volumes,
        },
        SERVER_LOCKED: {"locked": False},
        SERVER_DESCRIPTION: {"description": one.description},
        SERVER_TAGS: {"tags": one.tags},
        REASON_OF_LOCK: {"locked_reason": None},
    }
    return {
        name: value
        for since, fields in added.items()
        if microversion >= since
        for name, value in fields.items()
    }


def addresses(one: Server, network: NetworkService) -> Json:
    """Addresses by network name."""
    found: dict[str, list[Json]] = {}
    for port_id in one.port_ids:
        port = network.ports.get(port_id)
        if port is None or port.device_id != one.id:
            continue
        rows = found.setdefault(network.networks[port.network_id].name, [])
        rows.extend(
            {
                "addr": address,
                "version": 4,
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": port.mac_address,
            }
            for _, address in port.fixed_ips
        )
    return found


def flavor(one: Flavor, url: str, microversion: tuple[int, int]) -> Json:
    """A flavor in full."""
    view: Json = {
        "id": one.id,
        "name": one.name,
        "ram": one.ram,
        "vcpus": one.vcpus,
        "disk": one.disk,
        "swap": one.swap or ("" if microversion < (2, 75) else 0),
        "OS-FLV-EXT-DATA:ephemeral": one.ephemeral,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": one.is_public,
        "rxtx_factor": 1.0,
        "links": links(url, "flavors", one.id),
    }
    if microversion >= (2, 55):
        view["description"] = one.description
    if microversion >= (2, 61):
        view["extra_specs"] = one.extra_specs
    return view


def volume_attachment(one: Server, volume: ServerVolume) -> Json:
    """A volume in a server."""
    return {
        "id": volume.volume_id,
        "serverId": one.id,
        "volumeId": volume.volume_id,
        "device": volume.device,
        "tag": None,
        "delete_on_termination": volume.delete_on_termination,
        "attachment_id": None,
        "bdm_uuid": volume.volume_id,
    }


def action(one: ServerAction, server_id: str) -> Json:
    """What was done to a server."""
    when = timestamp(one.started, zone=False, micros=True)
    return {
        "action": one.action,
        "instance_uuid": server_id,
        "request_id": one.request_id,
        "user_id": one.user_id,
        "project_id": one.project_id,
        "start_time": when,
        "updated_at": when,
        "message": None,
    }


def action_in_full(one: ServerAction, server_id: str) -> Json:
    """The same, with what the compute service did of it."""
    event = {
        "event": f"compute_{one.action}_instance",
        "start_time": _micros(one.started),
        "finish_time": _micros(one.finished),
        "result": None if one.finished is None else "Success",
        "hostId": "coffer-local",
        "details": None,
    }
    return {**action(one, server_id), "events": [event]}


def _flavor_of(one: Server, url: str, microversion: tuple[int, int]) -> Json:
    if microversion < EXTENSIONS_IN_FLAVOR:
        return {"id": one.flavor.id, "links": links(url, "flavors", one.flavor.id)[1:]}
    return {
        "original_name": one.flavor.name,
        "ram": one.flavor.ram,
        "vcpus": one.flavor.vcpus,
        "disk": one.flavor.disk,
        "swap": 0,
        "ephemeral": 0,
        "extra_specs": one.flavor.extra_specs,
    }


def _group_names(one: Server, network: NetworkService) -> list[str]:
    ports = [network.ports[port_id] for port_id in one.port_ids if port_id in network.ports]
    ids = dict.fromkeys(group_id for port in ports for group_id in port.security_group_ids)
    groups = network.security_groups.groups
    return [groups[group_id].name for group_id in ids if group_id in groups]


def _micros(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds, zone=False, micros=True)
