"""What is played on both sides: one instance's things, strangers, refusals and faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.cloud import flavors, images, names, network, servers, volumes
from tests.simulator.fleet.sides import IMAGE, NETWORK, ONE, THREE, TWO, UNKNOWN, Side


def everything(side: Side) -> None:
    """A server with all its parts, from the first look to the last delete."""
    side.see(flavors.list_all)
    side.see(servers.find_zones)
    side.see(images.newest_with_tags, ["coffer"])
    side.see(images.newest_with_tags, ["coffer", "other"])
    side.see(images.newest_with_tags, [])
    side.see(network.get_network, NETWORK)
    side.see(network.get_network, UNKNOWN)
    side.see(network.get_subnet, side.subnet_id())
    side.see(network.get_subnet, UNKNOWN)
    standard = side.see(volumes.find_type, "standard")
    side.see(volumes.find_type, standard.id)
    side.see(volumes.find_type, "golden")
    private = side.see(volumes.find_type, "reserved")
    side.see(volumes.get_type_projects, private.id)
    side.see(network.find_security_groups, ONE)
    group = side.see(network.create_security_group, *ours(ONE))
    for rule in (network.Rule(3306, "0.0.0.0/0"), network.Rule(3306, "::/0")):
        side.see(network.create_rule, group.id, rule)
        side.see(network.create_rule, group.id, rule)
    side.see(network.find_security_groups, ONE)
    side.see(network.page_of_security_groups, None, 9)
    port = make_port(side, group.id)
    side.see(network.find_ports, ONE)
    outside = side.see(network.find_external_network)
    marked = names.description(ONE)
    wish = {"network_id": outside, "port_id": port.id}
    address = side.see(network.create_floating_address, marked, **wish)
    side.see(network.create_floating_address, marked, **wish)
    side.see(network.create_floating_address, marked, **wish | {"network_id": NETWORK})
    side.see(network.find_floating_addresses, ONE)
    side.see(network.page_of_floating_addresses, None, 5)
    side.see(network.delete_floating_address, address.id)
    side.see(network.delete_floating_address, address.id)
    side.see(network.find_floating_addresses, ONE)
    (group,) = network.find_security_groups(ONE)
    for rule_id in sorted(group.rules.values()):
        side.see(network.delete_rule, rule_id)
        side.see(network.delete_rule, rule_id)
    side.see(network.find_security_groups, ONE)
    side.see(network.page_of_ports, None, 9)
    side.see(network.page_of_ports, port.id, 9)
    side.see(network.page_of_ports, UNKNOWN, 9)
    volume = make_volume(side)
    side.until(lambda: status_of(volume) == "available")
    side.see(volumes.get, volume.id)
    side.see(volumes.find, ONE)
    side.see(volumes.page, None, 9)
    side.see(volumes.page, volume.id, 9)
    side.see(volumes.page, UNKNOWN, 9)
    server = ask_for_server(side, port.id, volume.id)
    ask_for_server(side, port.id, volume.id)
    side.until(lambda: servers.find(ONE)[0].status == "ACTIVE")
    side.see(servers.find, ONE)
    side.see(servers.find, UNKNOWN)
    side.see(servers.get, servers.find(ONE)[0].id)
    side.see(servers.get, UNKNOWN)
    side.see(servers.page, None, 9)
    side.see(servers.page, server, 9)
    side.see(servers.page, UNKNOWN, 9)
    side.see(volumes.delete, volume.id)
    side.see(network.delete_security_group, group.id)
    for mode in ("not_in_use", "refuse", "quota"):
        side.arm("volume", "extend_volume", mode)
        side.see(volumes.extend, volume.id, 9)
    made = side.see(servers.get, server)
    assert made.volumes == {volume.id}
    side.see(servers.detach_volume, server, volume.id)
    side.until(lambda: status_of(volume) == "available")
    side.see(servers.get, server)
    side.see(servers.detach_volume, server, volume.id)
    side.see(servers.attach_volume, UNKNOWN, volume.id)
    side.see(servers.attach_volume, server, volume.id)
    side.until(lambda: status_of(volume) == "in-use")
    side.see(servers.attach_volume, server, volume.id)
    side.see(servers.delete, server)
    side.until(lambda: not servers.find(ONE))
    side.see(servers.delete, server)
    for _ in range(2):
        side.see(network.delete_port, port.id)
        side.see(network.delete_security_group, group.id)
    side.see(volumes.delete, volume.id)
    side.until(lambda: status_of(volume) is None)
    side.see(volumes.delete, volume.id)
    side.see(volumes.get, volume.id)


def strangers(side: Side) -> None:
    """What a tenant named, described and tagged as ours are is neither adopted nor removed."""
    side.copy(*ours(TWO))
    side.see(network.find_ports, TWO)
    side.see(network.find_security_groups, TWO)
    side.see(network.page_of_ports, None, 9)
    side.see(network.page_of_security_groups, None, 9)
    assert side.see(images.newest_with_tags, ["coffer"]) == IMAGE
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COFFER_IMAGE_PROJECT_ID", UNKNOWN)
        aws.forget("settings")
        assert side.see(images.newest_with_tags, ["coffer"]) is None
    aws.forget("settings")


def refusals(side: Side) -> None:
    """What cannot be done, each for its own reason."""
    group = side.see(network.create_security_group, *ours(TWO))
    fixed = {"subnet_id": None, "ip_address": "127.94.7.7"}
    where = {"network_id": NETWORK, "security_group_id": group.id}
    port = side.see(network.create_port, *ours(TWO), **where, **fixed)
    side.see(network.create_port, *ours(TWO), **where, **fixed)
    side.see(network.create_port, *ours(TWO), **where, **{**fixed, "ip_address": "10.0.0.1"})
    side.see(network.create_port, *ours(TWO), **{**where, "network_id": UNKNOWN}, **fixed)
    side.see(network.create_port, *ours(TWO), **{**where, "security_group_id": UNKNOWN}, **fixed)
    side.see(network.create_rule, UNKNOWN, network.Rule(1, "10.0.0.0/8"))
    make_volume(side, size_gib=0)
    make_volume(side, volume_type="no such type")
    make_volume(side, size_gib=100_000)
    make_volume(side, availability_zone="elsewhere")
    volume = make_volume(side)
    side.until(lambda: status_of(volume) == "available")
    ask_for_server(side, port.id, UNKNOWN)
    ask_for_server(side, UNKNOWN, volume.id)
    ask_for_server(side, port.id, volume.id, flavor_id="77")
    ask_for_server(side, port.id, volume.id, availability_zone="elsewhere")
    ask_for_server(side, port.id, volume.id, image_id=UNKNOWN)
    ask_for_server(side, port.id, volume.id, user_data="x" * 60_000)
    side.see(network.delete_port, port.id)
    side.see(network.delete_security_group, group.id)
    side.see(volumes.delete, volume.id)
    side.until(lambda: status_of(volume) is None)


def faults(side: Side) -> None:
    """What a cloud does when it is not well, call by call."""
    reads: list[tuple[str, str, Callable[..., Any], tuple[Any, ...]]] = [
        ("compute", "list_servers", servers.find, (ONE,)),
        ("compute", "list_flavors", flavors.list_all, ()),
        ("compute", "list_zones", servers.find_zones, ()),
        ("volume", "list_volumes", volumes.find, (THREE,)),
        ("network", "list_ports", network.find_ports, (THREE,)),
        ("network", "list_security_groups", network.find_security_groups, (THREE,)),
        ("network", "get_network", network.get_network, (NETWORK,)),
        ("image", "list_images", images.newest_with_tags, (["coffer"],)),
    ]
    for service, call, function, args in reads:
        for mode in ("refuse", "quota", "unavailable", "not_found", "error", "timeout_after"):
            side.arm(service, call, mode)
            side.see(function, *args)
    for mode in ("quota", "unavailable", "timeout_after"):
        side.arm("volume", "create_volume", mode)
        make_volume(side, owner=THREE)
        side.arm("network", "create_security_group", mode)
        side.see(network.create_security_group, *ours(THREE))
        side.see(network.find_security_groups, THREE)
    side.until(lambda: {each.status for each in volumes.find(THREE)} == {"available"})
    (volume,), (group,) = volumes.find(THREE), network.find_security_groups(THREE)
    for mode in ("quota", "refuse", "unavailable", "timeout_after"):
        side.arm("network", "create_security_group_rule", mode)
        side.see(network.create_rule, group.id, network.Rule(1, "10.0.0.0/8"))
    for mode in ("refuse", "not_found", "unavailable", "timeout_after"):
        side.arm("network", "delete_security_group", mode)
        side.see(network.delete_security_group, group.id)
        side.arm("volume", "delete_volume", mode)
        side.see(volumes.delete, volume.id)
    side.until(lambda: status_of(volume) is None)


def make_port(side: Side, group_id: str) -> Any:
    return side.see(
        network.create_port,
        *ours(ONE),
        network_id=NETWORK,
        security_group_id=group_id,
        subnet_id=None,
        ip_address=None,
    )


def ours(instance_id: str) -> tuple[str, str]:
    return names.network(instance_id), names.description(instance_id)


def make_volume(side: Side, owner: str = ONE, **changes: Any) -> Any:
    wish = {"size_gib": 1, "volume_type": None, "availability_zone": None}
    wish |= {"metadata": names.metadata(owner, 1)} | changes
    return side.see(volumes.create, names.volume(owner), **wish)


def ask_for_server(side: Side, port_id: str, volume_id: str, **changes: Any) -> Any:
    wish = {
        "image_id": IMAGE,
        "flavor_id": "1",
        "port_id": port_id,
        "volume_id": volume_id,
        "user_data": "#cloud-config\n{}",
        "availability_zone": None,
        "group_id": None,
        "metadata": names.metadata(ONE, 1),
    }
    return side.see(servers.create, names.server(ONE, 1, "one"), **(wish | changes))


def status_of(volume: Any) -> str | None:
    found = volumes.get(volume.id)
    return found.status if found else None
