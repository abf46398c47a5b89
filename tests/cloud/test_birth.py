"""What Nova tells a server about itself, by both ways; the agent finds what it needs in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from urllib3 import PoolManager

from guest_agent import birth
from guest_agent.config import AGENT_FILE
from guest_agent.storage import device
from simulator.cloud import config_drive
from simulator.cloud.model.seams import GuestSpec, Interface
from tests.cloud.served import ServedCloud, Tenant
from tests.guest_agent.test_birth import AGENT_FILE as AGENT


def read(cloud: ServedCloud, server: Any, path: str) -> Any:
    return json.loads((cloud.root_of(server.id) / "config-drive" / path).read_bytes())


def own_server(cloud: ServedCloud, tenant: Tenant, name: str, **subnet: Any) -> tuple[Any, str]:
    """A server in a network of its own; its port's address."""
    network = tenant.api.network.create_network(name=name)
    tenant.api.network.create_subnet(
        network_id=network.id, ip_version=4, cidr="127.99.0.0/24", **subnet
    )
    port = tenant.api.network.create_port(network_id=network.id, name=name)
    server = tenant.server(name, port=port)
    path = cloud.root_of(server.id) / AGENT_FILE
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(AGENT))
    return server, port.fixed_ips[0]["ip_address"]


@pytest.fixture
def networks(service: Tenant) -> Any:
    """Removes the networks of a test, after its ports."""
    yield
    service.delete_everything()
    for network in service.api.network.networks(project_id=service.api.current_project_id):
        service.api.network.delete_network(network)


@pytest.mark.usefixtures("networks")
def test_of_a_subnet_with_dhcp_nova_tells_no_address(cloud: ServedCloud, service: Tenant) -> None:
    """Neutron's default, and what the agent makes of it."""
    server, address = own_server(cloud, service, "dhcp")
    told = read(cloud, server, "openstack/latest/network_data.json")
    (network,) = told["networks"]
    assert set(network) == {"id", "type", "link", "network_id"}
    assert (network["type"], network["link"]) == ("ipv4_dhcp", told["links"][0]["id"])
    assert birth.load(cloud.root_of(server.id)).bind_address == address


@pytest.mark.usefixtures("networks")
def test_of_one_without_dhcp_nova_tells_address_and_route(
    cloud: ServedCloud, service: Tenant
) -> None:
    server, address = own_server(cloud, service, "static", is_dhcp_enabled=False, gateway_ip=None)
    (network,) = read(cloud, server, "openstack/latest/network_data.json")["networks"]
    assert (network["type"], network["ip_address"]) == ("ipv4", address)
    assert (network["netmask"], network["routes"]) == ("255.255.255.0", [])
    assert birth.load(cloud.root_of(server.id)).bind_address == address


def test_the_metadata_service_tells_a_server_what_the_drive_tells(
    cloud: ServedCloud, service: Tenant
) -> None:
    port = service.port("told")
    server = service.server("told", port=port, user_data="#cloud-config\n{}", config_drive=False)
    assert not (cloud.root_of(server.id) / "config-drive").exists()

    def ask(path: str, address: str) -> Any:
        with PoolManager(source_address=(address, 0), retries=False) as pool:
            return pool.request("GET", f"{cloud.url}/{path}")

    address = port.fixed_ips[0]["ip_address"]
    assert ask(birth.META_DATA, address).json()["uuid"] == server.id
    assert ask(birth.EC2_META_DATA, address).json()["local-ipv4"] == address
    assert ask("openstack/latest/user_data", address).data == b"#cloud-config\n{}"
    assert b"network_data.json" in ask("openstack/latest", address).data.splitlines()
    assert ask("openstack", address).data == b"latest"
    assert ask("openstack/latest/no_such", address).status == 404
    assert ask(birth.META_DATA, "127.0.0.1").status == 404, "nobody's address"


@pytest.fixture
def scsi_image(admin: Tenant) -> Any:
    """The guests' image, for servers whose disks are on another bus."""
    made = admin.api.image.post(
        "/images", json={"name": "scsi", "visibility": "public", "hw_disk_bus": "scsi"}
    ).json()
    yield made
    admin.api.image.delete_image(made["id"])


def test_of_several_disks_the_agent_finds_the_volume(
    cloud: ServedCloud, service: Tenant, local_disks: Any
) -> None:
    """Nova names the ephemeral disk and the swap before it, and data on those would be lost."""
    volume = service.volume("data")
    server = service.server("many", volume=volume, flavor_id=local_disks.id)
    root = cloud.root_of(server.id)
    (attached,) = service.api.compute.volume_attachments(server)
    assert attached.device == "/dev/vdd"
    assert sorted(disk.name for disk in (root / "dev").glob("vd*")) == ["vdb", "vdc", "vdd"]
    found = device.wait_for(root, volume.id).resolve()
    assert found == cloud.state / "volumes" / volume.id
    assert found != (root / "dev/vdb").resolve()


def test_on_a_scsi_bus_too(cloud: ServedCloud, service: Tenant, scsi_image: Any) -> None:
    volume = service.volume("data")
    server = service.server("scsi", volume=volume, image_id=scsi_image["id"])
    root = cloud.root_of(server.id)
    assert [disk.name for disk in (root / "dev").glob("?d?")] == ["sdb"]
    assert device.wait_for(root, volume.id).resolve() == cloud.state / "volumes" / volume.id


@pytest.fixture
def local_disks(admin: Tenant) -> Any:
    """A flavor with an ephemeral disk and swap."""
    made = admin.api.compute.create_flavor(
        name="db.local", ram=512, vcpus=1, disk=5, ephemeral=1, swap=64
    )
    yield made
    admin.api.compute.delete_flavor(made)


def test_a_card_tells_the_first_network_of_each_version() -> None:
    def card(address: str, mask: str, gateway: str | None, *, dhcp: bool) -> Interface:
        return Interface("a-port", "fa:16:3e:00:00:01", "n", address, mask, gateway, dhcp)

    spec = GuestSpec(
        server_id="s",
        name="db",
        hostname="db",
        project_id="p",
        metadata={},
        user_data=b"",
        interfaces=[
            card("10.0.0.5", "255.255.255.0", "10.0.0.1", dhcp=True),
            card("10.9.0.5", "255.255.255.0", None, dhcp=False),
            card("fd00::5", "ffff:ffff:ffff:ffff::", "fd00::1", dhcp=False),
        ],
        volumes=[],
    )
    told = config_drive.network_data(spec)
    assert [link["vif_id"] for link in told["links"]] == ["a-port"]
    first, second = told["networks"]
    assert first["type"] == "ipv4_dhcp"
    assert (second["type"], second["ip_address"]) == ("ipv6", "fd00::5")
    assert second["routes"] == [{"network": "::", "netmask": "::", "gateway": "fd00::1"}]
    assert json.loads(config_drive.documents(spec)[birth.EC2_META_DATA])["local-ipv4"] == "10.0.0.5"
