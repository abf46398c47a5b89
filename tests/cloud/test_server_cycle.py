"""A server from its parts to its end, with the processes and folders that stand for it."""

from __future__ import annotations

import json
import os
import stat
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from openstack import exceptions

from tests.cloud.served import WAIT_SECONDS, ServedCloud, Tenant, alive, encoded, wait_until

USER_DATA = "#cloud-config\n" + json.dumps(
    {
        "write_files": [
            {"path": "/etc/coffer/guest-agent.json", "content": '{"a": 1}', "permissions": "0600"},
            {"path": "/../../outside", "content": "caught"},
        ]
    }
)


def test_a_server_is_built_of_its_parts_boots_and_goes(cloud: ServedCloud, service: Tenant) -> None:
    api = service.api
    group = api.network.create_security_group(name="db")
    api.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="tcp", port_range_min=3306
    )
    volume = service.volume("data")
    port = service.port("db", security_group_ids=[group.id], tags=["one"])
    server = service.server(
        "db-1", port=port, volume=volume, user_data=USER_DATA, metadata={"instance": "i-1"}
    )

    address = port.fixed_ips[0]["ip_address"]
    assert IPv4Address(address) in IPv4Network(cloud.network)
    assert not address.rpartition(".")[0].endswith(".0"), "left free for the host and its gateway"
    assert server.addresses["private"][0]["addr"] == address
    assert server.metadata == {"instance": "i-1"}
    assert api.block_storage.get_volume(volume.id).status == "in-use"
    assert api.block_storage.get_volume(volume.id).attachments[0]["server_id"] == server.id
    assert api.network.get_port(port.id).device_id == server.id
    with pytest.raises(exceptions.ConflictException):
        api.network.delete_security_group(group.id, ignore_missing=False)

    wait_until(lambda: len(alive(server.id)) == 2, "the agent and its detached child run")
    pids = alive(server.id)
    api.compute.delete_server(server)
    api.compute.wait_for_delete(server, interval=0.02, wait=WAIT_SECONDS)

    with pytest.raises(exceptions.NotFoundException):
        api.compute.get_server(server.id)
    assert not any(is_running(pid) for pid in pids)
    assert not cloud.root_of(server.id).exists()
    assert api.block_storage.get_volume(volume.id).status == "available"
    assert api.network.get_port(port.id).device_id == ""
    api.network.delete_port(port.id)
    api.network.delete_security_group(group.id)
    api.block_storage.delete_volume(volume.id)
    api.block_storage.wait_for_delete(volume, interval=0.02, wait=WAIT_SECONDS)
    assert not (cloud.state / "volumes" / volume.id).exists()


def test_the_disk_holds_a_config_drive_the_files_and_the_volume(
    cloud: ServedCloud, service: Tenant
) -> None:
    volume, port = service.volume("data"), service.port("db")
    server = service.server(
        "db-2", port=port, volume=volume, user_data=USER_DATA, metadata={"k": "v"}
    )
    root = cloud.root_of(server.id)

    drive = root / "config-drive" / "openstack" / "latest"
    assert (drive / "user_data").read_text() == USER_DATA
    meta_data = json.loads((drive / "meta_data.json").read_text())
    assert (meta_data["uuid"], meta_data["name"], meta_data["meta"]) == (
        server.id,
        "db-2",
        {"k": "v"},
    )
    assert (root / "etc" / "coffer" / "guest-agent.json").read_text() == '{"a": 1}'
    assert (root / "outside").read_text() == "caught"
    assert (root / "dev" / "vdb").resolve() == cloud.state / "volumes" / volume.id
    assert mode(root / "etc" / "coffer" / "guest-agent.json") == 0o600
    assert {mode(file) for file in drive.iterdir()} == {0o600}
    ec2 = root / "config-drive/ec2/latest"
    assert (ec2 / "user-data").read_text() == USER_DATA
    assert {mode(file) for file in ec2.iterdir()} == {0o600}
    assert mode(root) == mode(root / "dev" / "vdb") == mode(cloud.state / "volumes") == 0o755


def test_a_guest_inherits_nothing_but_its_own_environment(
    cloud: ServedCloud, service: Tenant
) -> None:
    server = service.server("env")
    wait_until(lambda: alive(server.id), "the agent runs")
    environment = Path(f"/proc/{alive(server.id)[0]}/environ").read_bytes().split(b"\0")
    names = {variable.partition(b"=")[0].decode() for variable in environment if variable}
    assert names <= {"PATH", "HOME", "LANG", "PYTHONPATH", "PYTHONUNBUFFERED", "COFFER_SERVER_ID"}


def test_a_reboot_keeps_the_disk_and_a_rebuild_renews_it(
    cloud: ServedCloud, service: Tenant
) -> None:
    volume = service.volume("data")
    server = service.server("db-3", volume=volume)
    root = cloud.root_of(server.id)
    (root / "kept").touch()
    (root / "dev" / "vdb" / "rows").touch()
    wait_until(lambda: len(alive(server.id)) == 2, "the guest runs")
    before = alive(server.id)

    service.api.compute.reboot_server(server, "HARD")
    service.wait(server)
    wait_until(lambda: len(alive(server.id)) == 2, "the guest runs again")
    assert not set(before) & set(alive(server.id))
    assert (root / "kept").exists()

    user_data = encoded("#cloud-config\nwrite_files:\n- {path: /new, content: yes it is}\n")
    service.api.compute.rebuild_server(server, image=service.image.id, user_data=user_data)
    service.wait(server)
    assert not (root / "kept").exists()
    assert (root / "new").read_text() == "yes it is"
    assert (root / "dev" / "vdb" / "rows").exists()


def test_a_dead_agent_is_started_again_while_its_child_lives_on(
    cloud: ServedCloud, service: Tenant
) -> None:
    server = service.server("db-4")
    pids = cloud.root_of(server.id) / "agent.pids"
    wait_until(lambda: pids.exists() and pids.read_text().count("\n") == 1, "the agent ran")
    agent, child = map(int, pids.read_text().split())

    assert cloud.control("POST", f"/servers/{server.id}/kill_agent").ok
    wait_until(lambda: pids.read_text().count("\n") == 2, "it ran again")
    assert agent not in alive(server.id)
    assert child in alive(server.id)


def test_a_killed_machine_is_found_shut_off_and_can_be_started(
    cloud: ServedCloud, service: Tenant
) -> None:
    server = service.server("db-5")
    assert cloud.control("POST", f"/servers/{server.id}/kill_server").ok
    service.wait(server, "SHUTOFF")
    assert alive(server.id) == []
    service.api.compute.start_server(server)
    service.wait(server)
    wait_until(lambda: alive(server.id), "the guest runs again")


def test_a_server_can_be_deleted_while_it_is_built(cloud: ServedCloud, service: Tenant) -> None:
    volume = service.volume("data")
    server = service.server("brief", volume=volume, wait=False)
    service.api.compute.delete_server(server)
    service.api.compute.wait_for_delete(server, interval=0.02, wait=WAIT_SECONDS)
    assert service.api.block_storage.get_volume(volume.id).status == "available"
    assert alive(server.id) == []


def test_a_volume_can_be_plugged_and_grown_later(cloud: ServedCloud, service: Tenant) -> None:
    server, volume = service.server("db-6"), service.volume("more")
    storage = service.api.block_storage
    service.api.compute.create_volume_attachment(server, volume_id=volume.id)
    storage.wait_for_status(volume, "in-use", interval=0.02, wait=WAIT_SECONDS)
    assert (cloud.root_of(server.id) / "dev" / "vdb").exists()
    storage.extend_volume(volume, 3)
    wait_until(lambda: storage.get_volume(volume.id).size == 3, "it has grown")
    service.api.compute.delete_volume_attachment(server, volume)
    storage.wait_for_status(volume, "available", interval=0.02, wait=WAIT_SECONDS)
    assert not (cloud.root_of(server.id) / "dev" / "vdb").exists()


def mode(path: Path) -> int:
    """The permission bits of what a path leads to."""
    return stat.S_IMODE(path.stat().st_mode)


def is_running(pid: int) -> bool:
    """Whether a process is there and not only waiting to be reaped."""
    try:
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except (ProcessLookupError, FileNotFoundError):
        return False
