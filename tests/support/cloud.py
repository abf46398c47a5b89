"""A cloud in memory behind the functions of `chalicelib.cloud`, on the world's clock."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any, Final

import pytest

from chalicelib.cloud import flavors, images, names, network, servers, volumes
from chalicelib.cloud.errors import CloudAway, CloudError, InUse, Refused
from tests.support.world import World

BUILD_SECONDS: Final = 6
DELETE_SECONDS: Final = 2


class _Thing:
    def __init__(self, number: int, kind: str, name: str, now: float) -> None:
        self.id = f"{kind}-{number}"
        self.name = name
        self.born = now
        self.delete_asked: float | None = None
        self.facts: dict[str, Any] = {}


class FakeCloud:
    """Servers, volumes, ports and security groups. `servers_become` and `refusals` break it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.things: dict[str, dict[str, _Thing]] = {
            kind: {} for kind in ("server", "volume", "port", "group", "floating")
        }
        self.flavors = [flavors.CloudFlavor("1", "db.tiny", 512, 1, 5, 0)]
        self.confirms_by_itself = False
        self.extends_in_use = "done"
        """What becomes of a volume that is extended in a server, or "refused", "left" as it was;
        "never": nor beside it."""
        self.after_a_resize: Callable[[], None] = lambda: None
        self.resizes_end: str | None = None
        """What becomes of resizes when not well: "ERROR", "RESIZE" for ever, "left" as it was."""
        self.image: str | None = "image-1"
        self.servers_become = "ACTIVE"
        self.volumes_become = "available"
        self.external: str | None = "outside"
        self.addresses: tuple[str, ...] = ("127.77.1.2",)
        self.refusals: dict[str, CloudError] = {}
        self._numbers = itertools.count(1)
        self.delete_seconds: float = DELETE_SECONDS
        self.rebuild_seconds = 1.0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Stand in for the functions of `chalicelib.cloud`."""
        calls: dict[Any, tuple[Callable[..., Any], ...]] = {
            (servers, "servers"): (
                self.find_servers,
                self.get_server,
                self.create_server,
                self.stop_server,
                self.start_server,
                self.resize_server,
                self.migrate_server,
                self.confirm_resize,
                self.revert_resize,
                self.rebuild_server,
                self.find_replacement,
                self.find_end,
                self.attach_volume_server,
                self.detach_volume_server,
                self.delete_server,
                self.page_servers,
            ),
            (volumes, "volumes"): (
                self.find_volumes,
                self.get_volume,
                self.create_volume,
                self.extend_volume,
                self.delete_volume,
                self.page_volumes,
            ),
            (network, "network"): (
                self.find_security_groups,
                self.create_security_group,
                self.create_rule,
                self.delete_rule,
                self.find_external_network,
                self.find_floating_addresses,
                self.create_floating_address,
                self.page_of_floating_addresses,
                self.delete_floating_address,
                self.delete_security_group,
                self.page_of_security_groups,
                self.find_ports,
                self.create_port,
                self.delete_port,
                self.page_of_ports,
            ),
            (images, "images"): (self.newest_with_tags, self.get_image),
            (flavors, "flavors"): (self.list_all,),
        }
        for (module, service), functions in calls.items():
            for function in functions:
                name = function.__name__.removesuffix("_volumes").removesuffix("_servers")
                name = name.removesuffix("_volume").removesuffix("_server").removesuffix("_image")
                patch.setattr(module, name, self._counted(f"{service}.{name}", function))

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name in self.refusals:
                self.world.log.append(name)
                raise self.refusals[name]
            away = CloudAway(f"The cloud could not {name}: gateway timeout")
            return self.world.effect(name, lambda: function(*args, **kwargs), lost=away)

        return call

    def names(self, kind: str) -> list[str]:
        """The names of what exists now."""
        self._sweep()
        return [thing.name for thing in self.things[kind].values()]

    def inventory(self) -> dict[str, list[str]]:
        """All that exists now, by kind."""
        return {kind: self.names(kind) for kind in self.things}

    def running(self) -> list[_Thing]:
        """The servers whose guests run."""
        self._sweep()
        return [
            each
            for each in self.things["server"].values()
            if self._server(each).status in ("ACTIVE", "VERIFY_RESIZE")
        ]

    def _sweep(self) -> None:
        for things in self.things.values():
            for thing in list(things.values()):
                asked = thing.delete_asked
                if asked is not None and self.world.now >= asked + self.delete_seconds:
                    del things[thing.id]

    def _add(self, kind: str, name: str, **facts: Any) -> _Thing:
        thing = _Thing(next(self._numbers), kind, name, self.world.now)
        thing.facts = facts
        self.things[kind][thing.id] = thing
        return thing

    def _server(self, thing: _Thing) -> servers.Server:
        built = self.world.now >= thing.born + BUILD_SECONDS
        status = self.servers_become if built else "BUILD"
        if status == "ACTIVE" and thing.facts.get("off"):
            status = "SHUTOFF"
        status = thing.facts.get("resize", status)
        moving = self.world.now < thing.facts.get("moved", 0) + 1 or status == "RESIZE"
        fault = "No valid host was found" if status == "ERROR" else None
        deleting = thing.delete_asked is not None
        metadata = thing.facts.get("metadata", {})
        flavor_id = thing.facts.get("flavor_id")
        flavor = next((one for one in self.flavors if one.id == flavor_id), None)
        return servers.Server(
            thing.id,
            thing.name,
            status,
            deleting,
            fault,
            _marked(thing),
            metadata,
            moving=moving,
            flavor=flavor.name if flavor else "",
            image_id=thing.facts.get("image_id"),
            ram=flavor.ram if flavor else 0,
            vcpus=flavor.vcpus if flavor else 0,
            host_id=thing.facts.get("host", "h1"),
            volumes=frozenset(_volumes_in(thing)),
        )

    def find_servers(self, instance_id: str) -> list[servers.Server]:
        wanted = re.compile(names.server_pattern(instance_id))
        found = self.page_servers(None, len(self.things["server"]))
        return [one for one in found if wanted.search(one.name) and one.owner == instance_id]

    def get_server(self, server_id: str) -> servers.Server | None:
        self._sweep()
        found = self.things["server"].get(server_id)
        return self._server(found) if found else None

    def page_servers(self, after: str | None, limit: int) -> list[servers.Server]:
        return [self._server(each) for each in self._page("server", after, limit)]

    def create_server(self, name: str, **facts: Any) -> str:
        if self._volume(self.things["volume"][facts["volume_id"]]).status != "available":
            raise Refused("Block Device Mapping is Invalid")
        assert facts["port_id"] in self.things["port"]
        return self._add("server", name, **facts).id

    def stop_server(self, server_id: str) -> None:
        facts = self.things["server"][server_id].facts
        if facts.get("resize") == "ERROR":
            del facts["resize"]
            facts["off"] = False
        self._switch(server_id, "ACTIVE", off=True)

    def start_server(self, server_id: str) -> None:
        self._switch(server_id, "SHUTOFF", off=False)

    def _switch(self, server_id: str, now: str, *, off: bool) -> None:
        found = self.get_server(server_id)
        if found is None or found.status != now or found.moving:
            raise Refused("Cannot do that while the server is in another state")
        facts = self.things["server"][server_id].facts
        boots = facts.get("boots", 0) + (not off)
        facts.update(off=off, moved=self.world.now, boots=boots)

    def resize_server(self, server_id: str, flavor_id: str) -> None:
        facts = self._resizable(server_id, "ACTIVE", "SHUTOFF")
        if facts["flavor_id"] == flavor_id:
            raise Refused("When resizing, instances must change flavor!")
        self._move(facts, flavor_id, facts.get("host", "h1"))

    def migrate_server(self, server_id: str, host: str | None) -> None:
        facts = self._resizable(server_id, "ACTIVE", "SHUTOFF")
        if host not in (None, "h1", "h2"):
            raise Refused(f"Compute host {host} could not be found.")
        self._move(facts, facts["flavor_id"], host or "h2")

    def _move(self, facts: dict[str, Any], flavor_id: str, host: str) -> None:
        facts["moved"] = self.world.now
        ends = self.resizes_end
        self.after_a_resize()
        if ends == "left":
            return
        if ends != "RESIZE":
            facts["left"] = {name: facts.get(name, "h1") for name in ("flavor_id", "host")}
            facts.update(flavor_id=flavor_id, host=host, boots=facts.get("boots", 0) + 1)
        if not self.confirms_by_itself or ends:
            facts["resize"] = ends or "VERIFY_RESIZE"

    def confirm_resize(self, server_id: str) -> None:
        facts = self._resizable(server_id, "VERIFY_RESIZE")
        del facts["resize"]
        facts["moved"] = self.world.now

    def revert_resize(self, server_id: str) -> None:
        facts = self._resizable(server_id, "VERIFY_RESIZE")
        facts.update(facts["left"], boots=facts["boots"] + 1, moved=self.world.now)
        del facts["resize"]

    def _resizable(self, server_id: str, *states: str) -> dict[str, Any]:
        found = self.get_server(server_id)
        if found is None or found.status not in states or found.moving:
            raise CloudAway("Cannot do that while the server is in another state")
        return self.things["server"][server_id].facts

    def rebuild_server(self, server_id: str, *, name: str, **facts: Any) -> None:
        """A new root disk: whatever guest was there is another one now."""
        found = self.get_server(server_id)
        if found is None or found.status not in ("ACTIVE", "SHUTOFF", "ERROR") or found.moving:
            raise Refused("Cannot 'rebuild' the server while it is in another state")
        thing = self.things["server"][server_id]
        thing.name = name
        thing.facts.update(facts)
        self.replace_disk(server_id)

    def replace_disk(self, server_id: str) -> None:
        """What a rebuild by somebody else, or an evacuation, does: user data and name stay."""
        facts = self.things["server"][server_id].facts
        disks = facts.get("disks", 0) + 1
        facts.update(moved=self.world.now, disks=disks, replaced=self.world.now)

    def find_replacement(self, server_id: str) -> servers.Replacement | None:
        when = self.things["server"][server_id].facts.get("replaced")
        return None if when is None else servers.Replacement("req-1", "rebuild", when)

    def find_end(self, server_id: str, replacement: servers.Replacement) -> float | None:
        done = replacement.started + self.rebuild_seconds
        return done if self.world.now >= done else None

    def attach_volume_server(self, server_id: str, volume_id: str) -> None:
        found = self.get_volume(volume_id)
        if found is None or found.status != "available":
            raise Refused("Volume status must be available")
        self.things["server"][server_id].facts["outside"] = False

    def detach_volume_server(self, server_id: str, volume_id: str) -> None:
        found = self.get_volume(volume_id)
        if found is None or found.status != "in-use":
            raise Refused("Volume status must be in-use")
        self.things["server"][server_id].facts["outside"] = True

    def delete_server(self, server_id: str) -> None:
        self._delete("server", server_id)

    def _volume(self, thing: _Thing) -> volumes.Volume:
        users = [one for each in self.things["server"].values() for one in _volumes_in(each)]
        status = "creating" if self.world.now < thing.born + 1 else self.volumes_become
        if thing.id in users:
            status = "in-use"
        if thing.delete_asked is not None:
            status = "deleting"
        if self.world.now < thing.facts.get("extended", 0) + 1:
            status = "extending"
        size, metadata = thing.facts.get("size_gib", 1), thing.facts.get("metadata", {})
        return volumes.Volume(thing.id, thing.name, status, _marked(thing), size, metadata)

    def find_volumes(self, instance_id: str) -> list[volumes.Volume]:
        found = self.page_volumes(None, len(self.things["volume"]))
        return [each for each in found if each.owner == instance_id]

    def page_volumes(self, after: str | None, limit: int) -> list[volumes.Volume]:
        return [self._volume(each) for each in self._page("volume", after, limit)]

    def get_volume(self, volume_id: str) -> volumes.Volume | None:
        self._sweep()
        found = self.things["volume"].get(volume_id)
        return self._volume(found) if found else None

    def create_volume(self, name: str, **facts: Any) -> volumes.Volume:
        return self._volume(self._add("volume", name, **facts))

    def extend_volume(self, volume_id: str, size_gib: int) -> None:
        found = self.get_volume(volume_id)
        if found is None or found.status not in ("available", "in-use") or size_gib <= found.size:
            raise Refused("the volume cannot be extended to that")
        if found.status == "in-use" and self.extends_in_use in ("refused", "never"):
            raise InUse("Volume status must be 'available' to extend")
        if self.extends_in_use == "never":
            raise Refused("allowed gigabytes quota")
        facts = self.things["volume"][volume_id].facts
        facts["extended"] = self.world.now
        if found.status == "available" or self.extends_in_use == "done":
            facts["size_gib"] = size_gib

    def delete_volume(self, volume_id: str) -> None:
        found = self.get_volume(volume_id)
        if found and found.status not in volumes.DELETABLE:
            raise Refused(f"Volume status must be available, not {found.status}")
        self._delete("volume", volume_id)

    def _group(self, thing: _Thing) -> network.SecurityGroup:
        rules = {rule: f"{thing.id}/{rule.port} {rule.cidr}" for rule in thing.facts["rules"]}
        return network.SecurityGroup(thing.id, thing.name, rules, _described(thing))

    def find_security_groups(self, instance_id: str) -> list[network.SecurityGroup]:
        found = self.page_of_security_groups(None, len(self.things["group"]))
        return [each for each in found if each.owner == instance_id]

    def page_of_security_groups(self, after: str | None, limit: int) -> list[network.SecurityGroup]:
        return [self._group(each) for each in self._page("group", after, limit)]

    def create_security_group(self, name: str, description: str) -> network.SecurityGroup:
        return self._group(self._add("group", name, description=description, rules=set()))

    def create_rule(self, group_id: str, rule: network.Rule) -> None:
        self.things["group"][group_id].facts["rules"].add(rule)

    def delete_rule(self, rule_id: str) -> None:
        for thing in self.things["group"].values():
            found = {known: rule for rule, known in self._group(thing).rules.items()}
            thing.facts["rules"].discard(found.get(rule_id))

    def find_external_network(self) -> str | None:
        return self.external

    def _floating(self, thing: _Thing) -> network.FloatingAddress:
        port_id = thing.facts["port_id"]
        return network.FloatingAddress(
            thing.id,
            f"203.0.113.{thing.id.rpartition('-')[2]}",
            thing.facts["network_id"],
            port_id if port_id in self.things["port"] else None,
            _described(thing),
        )

    def find_floating_addresses(self, instance_id: str) -> list[network.FloatingAddress]:
        found = self.page_of_floating_addresses(None, len(self.things["floating"]))
        return [each for each in found if each.owner == instance_id]

    def page_of_floating_addresses(
        self, after: str | None, limit: int
    ) -> list[network.FloatingAddress]:
        return [self._floating(each) for each in self._page("floating", after, limit)]

    def create_floating_address(self, description: str, **facts: Any) -> network.FloatingAddress:
        assert facts["port_id"] in self.things["port"]
        return self._floating(self._add("floating", description, description=description, **facts))

    def delete_floating_address(self, address_id: str) -> None:
        self.things["floating"].pop(address_id, None)

    def delete_security_group(self, group_id: str) -> None:
        if any(p.facts["security_group_id"] == group_id for p in self.things["port"].values()):
            raise CloudAway("Security group in use")
        self.things["group"].pop(group_id, None)

    def _port(self, thing: _Thing) -> network.Port:
        where = thing.facts["network_id"]
        return network.Port(thing.id, thing.name, where, self.addresses, _described(thing))

    def find_ports(self, instance_id: str) -> list[network.Port]:
        found = self.page_of_ports(None, len(self.things["port"]))
        return [each for each in found if each.owner == instance_id]

    def page_of_ports(self, after: str | None, limit: int) -> list[network.Port]:
        return [self._port(each) for each in self._page("port", after, limit)]

    def create_port(self, name: str, description: str, **facts: Any) -> network.Port:
        assert facts["security_group_id"] in self.things["group"]
        return self._port(self._add("port", name, description=description, **facts))

    def delete_port(self, port_id: str) -> None:
        self.things["port"].pop(port_id, None)

    def get_image(self, image_id: str) -> images.Image | None:
        return images.Image(image_id, "active") if image_id.startswith("image-") else None

    def newest_with_tags(self, tags: list[str]) -> str | None:
        return self.image if tags else None

    def list_all(self) -> list[flavors.CloudFlavor]:
        return self.flavors

    def _page(self, kind: str, after: str | None, limit: int) -> list[_Thing]:
        self._sweep()
        found = list(self.things[kind].values())
        ids = [each.id for each in found]
        if after is not None and after not in ids:
            raise Refused(f"The cloud refused to page: marker [{after}] not found")
        begin = ids.index(after) + 1 if after is not None else 0
        return found[begin : begin + limit]

    def _delete(self, kind: str, thing_id: str) -> None:
        self._sweep()
        thing = self.things[kind].get(thing_id)
        if thing is not None and thing.delete_asked is None:
            thing.delete_asked = self.world.now


def _volumes_in(server: _Thing) -> list[str]:
    return [] if server.facts.get("outside") else [server.facts["volume_id"]]


def _marked(thing: _Thing) -> str | None:
    return names.marked_in_metadata(thing.facts.get("metadata", {}))


def _described(thing: _Thing) -> str | None:
    return names.marked_in_description(thing.facts.get("description", ""))
