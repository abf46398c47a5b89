"""What Nova tells a server about itself, on its config drive and by the metadata service alike.

Names and contents are those of nova/api/metadata/base.py and nova/virt/netutils.py, in the version
`latest` alone, without the random seed. Of a subnet with DHCP Nova tells no address: the server
has to ask for it. Only the metadata in EC2's manner names it then.
"""

from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path
from typing import Any

from simulator.cloud.model.seams import GuestSpec, Interface

FOLDER = Path("config-drive")
SECRET_MODE = 0o600


def documents(spec: GuestSpec) -> dict[str, bytes]:
    """Every file by its path on the drive, which is its path at the metadata service too."""
    found = {
        "openstack/latest/meta_data.json": _json(_meta_data(spec)),
        "openstack/latest/network_data.json": _json(network_data(spec)),
        "openstack/latest/vendor_data.json": _json({}),
        "openstack/latest/vendor_data2.json": _json({}),
        "ec2/latest/meta-data.json": _json(_ec2(spec)),
    }
    if spec.user_data:
        found["openstack/latest/user_data"] = found["ec2/latest/user-data"] = spec.user_data
    return found


def write(root: Path, spec: GuestSpec) -> None:
    """Put the drive into a server's root, as a folder that only its root user may read."""
    for path, content in documents(spec).items():
        target = root / FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # The mode from the first byte on: the user data holds a secret.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(target, flags, SECRET_MODE), "wb") as file:
            file.write(content)


def network_data(spec: GuestSpec) -> dict[str, Any]:
    """`network_data.json`: each card, and the first of its networks of each IP version."""
    links: dict[str, Interface] = {}
    networks: dict[tuple[str, int], Interface] = {}
    for card in spec.interfaces:
        links.setdefault(card.port_id, card)
        networks.setdefault((card.port_id, ipaddress.ip_address(card.address).version), card)
    return {
        "links": [_link(card) for card in links.values()],
        "networks": [_network(number, card) for number, card in enumerate(networks.values())],
        "services": [],
    }


def _link(card: Interface) -> dict[str, Any]:
    return {
        "id": _link_id(card),
        "vif_id": card.port_id,
        "type": "ovs",
        "mtu": 1500,
        "ethernet_mac_address": card.mac_address,
    }


def _network(number: int, card: Interface) -> dict[str, Any]:
    address = ipaddress.ip_address(card.address)
    kind = f"ipv{address.version}"
    common = {"id": f"network{number}", "link": _link_id(card), "network_id": card.network_id}
    if card.dhcp:
        return {**common, "type": f"{kind}_dhcp"}
    everywhere = dict.fromkeys(("network", "netmask"), str(type(address)(0)))
    return {
        **common,
        "type": kind,
        "ip_address": card.address,
        "netmask": card.netmask,
        "routes": [{**everywhere, "gateway": card.gateway}] if card.gateway else [],
        "services": [],
    }


def _meta_data(spec: GuestSpec) -> dict[str, Any]:
    return {
        "uuid": spec.server_id,
        **({"meta": dict(spec.metadata)} if spec.metadata else {}),
        "hostname": spec.hostname,
        "name": spec.name,
        "launch_index": 0,
        "availability_zone": "nova",
        "project_id": spec.project_id,
        "devices": [],
        "dedicated_cpus": [],
    }


def _ec2(spec: GuestSpec) -> dict[str, Any]:
    """The part of EC2's that does not need EC2's ids."""
    return {
        "hostname": spec.hostname,
        "local-hostname": spec.hostname,
        "local-ipv4": next((card.address for card in spec.interfaces if "." in card.address), ""),
        "placement": {"availability-zone": "nova"},
        "instance-action": "none",
    }


def _link_id(card: Interface) -> str:
    return f"tap{card.port_id[:11]}"


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
