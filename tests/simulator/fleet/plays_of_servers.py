"""What is played on both sides with servers: builds that break, resizes, rebuilds, groups."""

from __future__ import annotations

from chalicelib.cloud import images, names, network, server_groups, servers, volumes
from tests.simulator.fleet.plays import ask_for_server, make_port, make_volume, ours, status_of
from tests.simulator.fleet.sides import FOUR, IMAGE, ONE, TWO, UNKNOWN, Side


def broken_builds(side: Side) -> None:
    """A server that never gets well, and one that is gone while it is built."""
    group = side.see(network.create_security_group, *ours(FOUR))
    port = make_port(side, group.id)
    volume = make_volume(side)
    side.until(lambda: status_of(volume) == "available")
    side.arm("compute", "create_server", "error")
    server = ask_for_server(side, port.id, volume.id)
    side.until(lambda: servers.find(ONE)[0].status == "ERROR")
    side.see(servers.find, ONE)
    side.see(servers.delete, server)
    side.until(lambda: not servers.find(ONE))
    side.arm("compute", "create_server", "timeout_after")
    ask_for_server(side, port.id, volume.id)
    server = servers.find(ONE)[0].id
    side.arm("compute", "delete_server", "stuck")
    side.see(servers.delete, server)
    side.see(lambda: servers.find(ONE)[0].deleting)
    side.see(servers.delete, server)
    side.until(lambda: not servers.find(ONE))
    side.see(network.delete_port, port.id)
    side.see(network.delete_security_group, group.id)
    side.see(volumes.delete, volume.id)
    side.until(lambda: status_of(volume) is None)


def resizes(side: Side) -> None:
    """To another flavor and back, each way, and what is refused."""
    group = side.see(network.create_security_group, *ours(ONE))
    port, volume = make_port(side, group.id), make_volume(side)
    side.until(lambda: status_of(volume) == "available")
    server = ask_for_server(side, port.id, volume.id)

    def until(status: str, flavor: str) -> None:
        def reached() -> bool:
            (found,) = servers.find(ONE)
            return (found.status, found.moving, found.flavor) == (status, False, flavor)

        side.until(reached)

    until("ACTIVE", "db.tiny")
    for flavor_id in ("1", "77"):
        side.see(servers.resize, server, flavor_id)
    side.see(servers.resize, UNKNOWN, "2")
    side.see(servers.confirm_resize, server)
    side.see(servers.revert_resize, server)
    for end, flavor in ((servers.revert_resize, "db.tiny"), (servers.confirm_resize, "db.memory")):
        side.see(servers.resize, server, "4")
        until("VERIFY_RESIZE", "db.memory")
        side.see(servers.get, server)
        side.see(servers.stop, server)
        side.see(end, server)
        until("ACTIVE", flavor)
    side.see(servers.migrate, server, None)
    until("VERIFY_RESIZE", "db.memory")
    side.see(servers.get, server)
    side.see(servers.confirm_resize, server)
    until("ACTIVE", "db.memory")
    for host in ("compute-4", "compute-nowhere"):
        side.see(servers.migrate, server, host)
    side.see(servers.migrate, UNKNOWN, None)
    for mode in ("refuse", "quota", "unavailable", "not_found", "timeout_after"):
        side.arm("compute", "resize_server", mode)
        side.see(servers.resize, server, "1")
    until("VERIFY_RESIZE", "db.tiny")
    side.arm("compute", "revert_resize", "error")
    side.see(servers.revert_resize, server)
    until("ERROR", "db.tiny")
    side.see(servers.get, server)
    side.see(servers.delete, server)
    side.until(lambda: not servers.find(ONE))
    side.see(network.delete_port, port.id)
    side.see(network.delete_security_group, group.id)
    side.see(volumes.delete, volume.id)
    side.until(lambda: status_of(volume) is None)


def replaced(server_id: str) -> tuple[str, bool] | None:
    """What last gave a server another disk, and whether that is over."""
    found = servers.find_replacement(server_id)
    if found is None:
        return None
    end = servers.find_end(server_id, found)
    return found.action, end is not None and end >= found.started


def rebuilds(side: Side) -> None:
    """Another root disk: what Nova tells of it and when, also of one that is switched off."""
    group = side.see(network.create_security_group, *ours(ONE))
    port, volume = make_port(side, group.id), make_volume(side)
    side.until(lambda: status_of(volume) == "available")
    server = ask_for_server(side, port.id, volume.id)

    def until(status: str) -> None:
        def reached() -> bool:
            (found,) = servers.find(ONE)
            return (found.status, found.moving) == (status, False)

        side.until(reached)

    def rebuild(generation: int, image_id: str = IMAGE, server_id: str = server) -> None:
        wish = {"image_id": image_id, "user_data": "#cloud-config\n{}"}
        marks = names.metadata(ONE, generation)
        name = names.server(ONE, generation, "one")
        side.see(servers.rebuild, server_id, name=name, metadata=marks, **wish)

    for image_id in (IMAGE, UNKNOWN):
        side.see(images.get, image_id)
    until("ACTIVE")
    side.see(replaced, server)
    rebuild(2, image_id=UNKNOWN)
    rebuild(2, server_id=UNKNOWN)
    side.see(replaced, UNKNOWN)
    rebuild(2)
    rebuild(3)
    until("ACTIVE")
    side.see(servers.get, server)
    side.see(replaced, server)
    side.see(servers.stop, server)
    until("SHUTOFF")
    side.see(replaced, server)
    rebuild(3)
    until("SHUTOFF")
    side.see(servers.get, server)
    for mode in ("refuse", "unavailable", "not_found", "timeout_after"):
        side.arm("compute", "rebuild_server", mode)
        rebuild(4)
    until("SHUTOFF")
    side.see(servers.get, server)
    side.arm("compute", "rebuild_server", "error")
    rebuild(5)
    until("ERROR")
    side.see(servers.get, server)
    side.see(replaced, server)
    side.see(servers.delete, server)
    side.until(lambda: not servers.find(ONE))
    side.see(network.delete_port, port.id)
    side.see(network.delete_security_group, group.id)
    side.see(volumes.delete, volume.id)
    side.until(lambda: status_of(volume) is None)


def groups(side: Side) -> None:
    """Server groups, and a server that is in one; Nova asks nobody before it takes one away."""
    side.see(server_groups.find, ONE)
    marked = names.description(ONE)
    first = side.see(server_groups.create, marked, "anti-affinity")
    side.see(server_groups.create, names.description(TWO), "soft-affinity")
    side.see(server_groups.create, "coffer", "affinity")
    side.see(server_groups.create, marked, "nearby")
    side.see(server_groups.find, ONE)
    listed = [each.id for each in server_groups.page(None, 9)]  # by ids, which no two have alike
    assert (len(listed), listed) == (3, sorted(listed))
    side.see(server_groups.page, listed[2], 9)
    group = side.see(network.create_security_group, *ours(ONE))
    port, volume = make_port(side, group.id), make_volume(side)
    side.until(lambda: status_of(volume) == "available")
    ask_for_server(side, port.id, volume.id, group_id=UNKNOWN)
    server = ask_for_server(side, port.id, volume.id, group_id=first)

    def active() -> bool:
        (found,) = servers.find(ONE)
        return bool(found.status == "ACTIVE")

    side.until(active)
    for each in (first, UNKNOWN):
        side.see(server_groups.delete, each)
    side.see(server_groups.find, ONE)
    side.see(servers.get, server)
