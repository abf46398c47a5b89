"""A cloud in memory behind the functions of `chalicelib.cloud`, on the world's clock."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any, Final

import pytest

from chalicelib.cloud import flavors, images, network, servers, volumes
from chalicelib.cloud.errors import CloudAway, CloudError, Refused
from tests.support.world import World

BUILD_SECONDS: Final = 3
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
            kind: {} for kind in ("server", "volume", "port", "group")
        }
        self.flavors = [flavors.CloudFlavor("1", "db.tiny", 512, 1, 5, 0)]
        self.image: str | None = "image-1"
        self.servers_become = "ACTIVE"
        self.volumes_become = "available"
        self.refusals: dict[str, CloudError] = {}
        self._numbers = itertools.count(1)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Stand in for the functions of `chalicelib.cloud`."""
        calls: dict[Any, tuple[Callable[..., Any], ...]] = {
            (servers, "servers"): (self.find_servers, self.create_server, self.delete_server),
            (volumes, "volumes"): (
                self.find_volumes,
                self.get_volume,
                self.create_volume,
                self.delete_volume,
                self.list_all_volumes,
            ),
            (network, "network"): (
                self.find_security_groups,
                self.create_security_group,
                self.create_rule,
                self.delete_security_group,
                self.list_security_groups,
                self.find_ports,
                self.create_port,
                self.delete_port,
                self.list_ports,
            ),
            (images, "images"): (self.newest_with_tags,),
            (flavors, "flavors"): (self.list_all,),
        }
        for (module, service), functions in calls.items():
            for function in functions:
                name = function.__name__.removesuffix("_volumes").removesuffix("_servers")
                name = name.removesuffix("_volume").removesuffix("_server")
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
            each for each in self.things["server"].values() if self._server(each).status == "ACTIVE"
        ]

    def _sweep(self) -> None:
        for things in self.things.values():
            for thing in list(things.values()):
                asked = thing.delete_asked
                if asked is not None and self.world.now >= asked + DELETE_SECONDS:
                    del things[thing.id]

    def _add(self, kind: str, name: str, **facts: Any) -> _Thing:
        thing = _Thing(next(self._numbers), kind, name, self.world.now)
        thing.facts = facts
        self.things[kind][thing.id] = thing
        return thing

    def _server(self, thing: _Thing) -> servers.Server:
        built = self.world.now >= thing.born + BUILD_SECONDS
        status = self.servers_become if built else "BUILD"
        fault = "No valid host was found" if status == "ERROR" else None
        return servers.Server(thing.id, thing.name, status, thing.delete_asked is not None, fault)

    def find_servers(self, pattern: str) -> list[servers.Server]:
        self._sweep()
        found = self.things["server"].values()
        return [self._server(each) for each in found if re.search(pattern, each.name)]

    def create_server(self, name: str, **facts: Any) -> servers.Server:
        if self._volume(self.things["volume"][facts["volume_id"]]).status != "available":
            raise Refused("Block Device Mapping is Invalid")
        assert facts["port_id"] in self.things["port"]
        return self._server(self._add("server", name, **facts))

    def delete_server(self, server_id: str) -> None:
        self._delete("server", server_id)

    def _volume(self, thing: _Thing) -> volumes.Volume:
        users = [each.facts["volume_id"] for each in self.things["server"].values()]
        status = "creating" if self.world.now < thing.born + 1 else self.volumes_become
        if thing.id in users:
            status = "in-use"
        if thing.delete_asked is not None:
            status = "deleting"
        return volumes.Volume(thing.id, thing.name, status)

    def find_volumes(self, name: str) -> list[volumes.Volume]:
        self._sweep()
        found = self.things["volume"].values()
        return [self._volume(each) for each in found if each.name == name]

    def get_volume(self, volume_id: str) -> volumes.Volume | None:
        self._sweep()
        found = self.things["volume"].get(volume_id)
        return self._volume(found) if found else None

    def create_volume(self, name: str, **facts: Any) -> volumes.Volume:
        return self._volume(self._add("volume", name, **facts))

    def delete_volume(self, volume_id: str) -> None:
        found = self.get_volume(volume_id)
        if found and found.status not in volumes.DELETABLE:
            raise Refused(f"Volume status must be available, not {found.status}")
        self._delete("volume", volume_id)

    def list_all_volumes(self, prefix: str) -> list[volumes.Volume]:
        self._sweep()
        found = self.things["volume"].values()
        return [self._volume(each) for each in found if each.name.startswith(prefix)]

    def _group(self, thing: _Thing) -> network.SecurityGroup:
        return network.SecurityGroup(thing.id, thing.name, frozenset(thing.facts["rules"]))

    def find_security_groups(self, name: str) -> list[network.SecurityGroup]:
        return [self._group(each) for each in self.things["group"].values() if each.name == name]

    def create_security_group(self, name: str, _: str) -> network.SecurityGroup:
        return self._group(self._add("group", name, rules=set()))

    def create_rule(self, group_id: str, rule: network.Rule) -> None:
        self.things["group"][group_id].facts["rules"].add(rule)

    def delete_security_group(self, group_id: str) -> None:
        if any(p.facts["security_group_id"] == group_id for p in self.things["port"].values()):
            raise CloudAway("Security group in use")
        self.things["group"].pop(group_id, None)

    def list_security_groups(self, prefix: str) -> list[network.SecurityGroup]:
        found = self.things["group"].values()
        return [self._group(each) for each in found if each.name.startswith(prefix)]

    def _port(self, thing: _Thing) -> network.Port:
        return network.Port(thing.id, thing.name, thing.facts["network_id"], ("127.77.1.2",))

    def find_ports(self, name: str) -> list[network.Port]:
        return [self._port(each) for each in self.things["port"].values() if each.name == name]

    def create_port(self, name: str, **facts: Any) -> network.Port:
        assert facts["security_group_id"] in self.things["group"]
        return self._port(self._add("port", name, **facts))

    def delete_port(self, port_id: str) -> None:
        self.things["port"].pop(port_id, None)

    def list_ports(self, prefix: str) -> list[network.Port]:
        found = self.things["port"].values()
        return [self._port(each) for each in found if each.name.startswith(prefix)]

    def newest_with_tags(self, tags: list[str]) -> str | None:
        return self.image if tags else None

    def list_all(self) -> list[flavors.CloudFlavor]:
        return self.flavors

    def _delete(self, kind: str, thing_id: str) -> None:
        self._sweep()
        thing = self.things[kind].get(thing_id)
        if thing is not None and thing.delete_asked is None:
            thing.delete_asked = self.world.now
