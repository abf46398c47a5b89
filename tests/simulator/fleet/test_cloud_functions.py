"""One contract for the cloud's functions: over HTTP on a served cloud, and in memory.

Each script of calls is run on both, and what it saw has to be the same: results and errors word for
word, with ids and addresses named in the order in which they turned up.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.cloud import (
    errors,
    flavors,
    images,
    names,
    network,
    server_groups,
    servers,
    session,
    volumes,
)
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud, Passwords
from simulator.cloud.model.faults import Fault
from simulator.cloud.model.identity import stable_id
from simulator.cloud.model.seams import Done
from simulator.cloud.model.settings import CloudSettings
from simulator.cloud_functions import CloudFunctions, make_cloud
from simulator.effects import Effect, Effects
from simulator.kernel import Kernel
from tests.cloud.served import WAIT_SECONDS, ServedCloud

NETWORK = stable_id("network", "private")
IMAGE = stable_id("image", "coffer-guest")
UNKNOWN = "00000000-0000-4000-8000-00000000beef"
GUEST_NETWORK = "127.94.0.0/16"
ONE, TWO, THREE, FOUR = (f"0000000{n}-0000-4000-8000-00000000c0de" for n in range(1, 5))
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TASK = re.compile(r"\brebuild_spawning\b")
"""Of a rebuild's two tasks a loaded machine may meet the second."""
_ADDRESS = re.compile(r"127\.94\.\d+\.\d+")


class Side:
    """A cloud behind the functions, and the transcript of a script on it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._names: dict[str, str] = {}

    def arm(self, service: str, call: str, mode: str) -> None:
        """Let the next such call go wrong."""
        raise NotImplementedError

    def subnet_id(self) -> str:
        """The subnet of the private network."""
        raise NotImplementedError

    def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until something is so."""
        raise NotImplementedError

    def copy(self, name: str, description: str) -> None:
        """A tenant makes a group, a port, and images with the tag, all as ours are."""
        raise NotImplementedError

    def see(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function and write down what came of it."""
        try:
            result = function(*args, **kwargs)
        except errors.CloudError as error:
            self._write(f"{function.__name__}: {type(error).__name__} {error}")
            return None
        shown = (
            sorted(map(repr, result), key=_without_ids)
            if isinstance(result, list)
            else repr(result)
        )
        self._write(f"{function.__name__}: {shown}")
        return result

    def _write(self, text: str) -> None:
        text = re.sub(r"rules=\{(.*?)\}", _sorted_rules, text)
        text = _TASK.sub("rebuilding", text)
        self.seen.append(_ADDRESS.sub(self._name, _UUID.sub(self._name, text)))

    def _name(self, found: re.Match[str]) -> str:
        value = found[0]
        if value in (NETWORK, IMAGE, UNKNOWN):
            return value
        return self._names.setdefault(value, f"<{len(self._names)}>")


def _without_ids(text: str) -> str:
    """What two clouds can be ordered by alike: their ids are not the same."""
    return _UUID.sub("", text)


def _sorted_rules(found: re.Match[str]) -> str:
    return "rules=" + " ".join(sorted(re.findall(r"Rule\(.*?\)", found[1])))


class Instant:
    """A hypervisor that has always done everything."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def work(*args: Any) -> None:
            done: Done = args[-1]
            done(None)

        return work


class Simulated(Side):
    """The functions in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = Kernel(1)
        self.effects = Effects(self.kernel)
        may_migrate = CloudSettings(service_roles=("member", "service", "manager"))
        self.cloud: Cloud = make_cloud(self.kernel, Instant(), may_migrate)
        self.cloud.bootstrap(Passwords("a", "s", "d", "v"), "http://cloud")
        self.cloud.network.subnets.clear()
        self.cloud.network.create_subnet(self.cloud.admin(), NETWORK, GUEST_NETWORK)
        self.functions = CloudFunctions(self.kernel, self.effects, self.cloud)

    def copy(self, name: str, description: str) -> None:
        users, projects = self.cloud.identity.users, self.cloud.identity.projects
        user = next(each.id for each in users.values() if each.name == "demo")
        project = next(each.id for each in projects.values() if each.name == "demo")
        tenant = Caller(user, project, frozenset({"member"}))
        self.cloud.network.security_groups.create(tenant, project, name, description)
        self.cloud.network.create_port(tenant, NETWORK, name=name, description=description)
        for visibility in ("private", "community"):
            self.cloud.image.create(tenant, "evil", visibility=visibility, tags=["coffer"])

    def arm(self, service: str, call: str, mode: str) -> None:
        self.cloud.faults.arm(Fault("f", service, call, mode))

    def subnet_id(self) -> str:
        (subnet,) = self.cloud.network.subnets
        return subnet

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(100):
            if condition():
                return
            self.kernel.run(self.kernel.now + 0.1)
        raise AssertionError("it did not come true")


class Served(Side):
    """The original functions, over HTTP."""

    def __init__(self, cloud: ServedCloud) -> None:
        super().__init__()
        self.cloud = cloud

    def copy(self, name: str, description: str) -> None:
        tenant = self.cloud.connect("demo")
        tenant.network.create_security_group(name=name, description=description)
        tenant.network.create_port(network_id=NETWORK, name=name, description=description)
        for visibility in ("private", "community"):
            tenant.image.post(
                "/images", json={"name": "evil", "visibility": visibility, "tags": ["coffer"]}
            )

    def arm(self, service: str, call: str, mode: str) -> None:
        fault = {"service": service, "call": call, "mode": mode, "count": 1}
        assert self.cloud.control("POST", "/faults", json=fault).ok

    def subnet_id(self) -> str:
        return stable_id("subnet", "private")

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not come true"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[ServedCloud, Any]]:
    """A cloud that is served for these tests, and the connection of Coffer's own user to it."""
    root = Path(tempfile.mkdtemp(prefix="coffer-contract-"))
    root.chmod(0o755)
    cloud = ServedCloud(root, GUEST_NETWORK)
    cloud.start()
    cloud.grant("coffer", "manager")
    yield cloud, cloud.connect("coffer")
    cloud.stop()
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(autouse=True)
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The functions mark what they make with the deployment's id."""
    monkeypatch.setenv("COFFER_DEPLOYMENT_ID", "deployment-of-the-contract")
    aws.forget("settings")
    yield
    aws.forget("settings")


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
    group = side.see(network.create_security_group, *_marked(ONE))
    for rule in (network.Rule(3306, "0.0.0.0/0"), network.Rule(3306, "::/0")):
        side.see(network.create_rule, group.id, rule)
        side.see(network.create_rule, group.id, rule)
    side.see(network.find_security_groups, ONE)
    side.see(network.page_of_security_groups, None, 9)
    port = _port(side, group.id)
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
    volume = _volume(side)
    side.until(lambda: _status(volume) == "available")
    side.see(volumes.get, volume.id)
    side.see(volumes.find, ONE)
    side.see(volumes.page, None, 9)
    side.see(volumes.page, volume.id, 9)
    side.see(volumes.page, UNKNOWN, 9)
    server = _server(side, port.id, volume.id)
    _server(side, port.id, volume.id)
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
    side.until(lambda: _status(volume) == "available")
    side.see(servers.get, server)
    side.see(servers.detach_volume, server, volume.id)
    side.see(servers.attach_volume, UNKNOWN, volume.id)
    side.see(servers.attach_volume, server, volume.id)
    side.until(lambda: _status(volume) == "in-use")
    side.see(servers.attach_volume, server, volume.id)
    side.see(servers.delete, server)
    side.until(lambda: not servers.find(ONE))
    side.see(servers.delete, server)
    for _ in range(2):
        side.see(network.delete_port, port.id)
        side.see(network.delete_security_group, group.id)
    side.see(volumes.delete, volume.id)
    side.until(lambda: _status(volume) is None)
    side.see(volumes.delete, volume.id)
    side.see(volumes.get, volume.id)


def strangers(side: Side) -> None:
    """What a tenant named, described and tagged as ours are is neither adopted nor removed."""
    side.copy(*_marked(TWO))
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
    group = side.see(network.create_security_group, *_marked(TWO))
    fixed = {"subnet_id": None, "ip_address": "127.94.7.7"}
    where = {"network_id": NETWORK, "security_group_id": group.id}
    port = side.see(network.create_port, *_marked(TWO), **where, **fixed)
    side.see(network.create_port, *_marked(TWO), **where, **fixed)
    side.see(network.create_port, *_marked(TWO), **where, **{**fixed, "ip_address": "10.0.0.1"})
    side.see(network.create_port, *_marked(TWO), **{**where, "network_id": UNKNOWN}, **fixed)
    side.see(network.create_port, *_marked(TWO), **{**where, "security_group_id": UNKNOWN}, **fixed)
    side.see(network.create_rule, UNKNOWN, network.Rule(1, "10.0.0.0/8"))
    _volume(side, size_gib=0)
    _volume(side, volume_type="no such type")
    _volume(side, size_gib=100_000)
    _volume(side, availability_zone="elsewhere")
    volume = _volume(side)
    side.until(lambda: _status(volume) == "available")
    _server(side, port.id, UNKNOWN)
    _server(side, UNKNOWN, volume.id)
    _server(side, port.id, volume.id, flavor_id="77")
    _server(side, port.id, volume.id, availability_zone="elsewhere")
    _server(side, port.id, volume.id, image_id=UNKNOWN)
    _server(side, port.id, volume.id, user_data="x" * 60_000)
    side.see(network.delete_port, port.id)
    side.see(network.delete_security_group, group.id)
    side.see(volumes.delete, volume.id)
    side.until(lambda: _status(volume) is None)


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
        _volume(side, owner=THREE)
        side.arm("network", "create_security_group", mode)
        side.see(network.create_security_group, *_marked(THREE))
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
    side.until(lambda: _status(volume) is None)


def broken_builds(side: Side) -> None:
    """A server that never gets well, and one that is gone while it is built."""
    group = side.see(network.create_security_group, *_marked(FOUR))
    port = _port(side, group.id)
    volume = _volume(side)
    side.until(lambda: _status(volume) == "available")
    side.arm("compute", "create_server", "error")
    server = _server(side, port.id, volume.id)
    side.until(lambda: servers.find(ONE)[0].status == "ERROR")
    side.see(servers.find, ONE)
    side.see(servers.delete, server)
    side.until(lambda: not servers.find(ONE))
    side.arm("compute", "create_server", "timeout_after")
    _server(side, port.id, volume.id)
    server = servers.find(ONE)[0].id
    side.arm("compute", "delete_server", "stuck")
    side.see(servers.delete, server)
    side.see(lambda: servers.find(ONE)[0].deleting)
    side.see(servers.delete, server)
    side.until(lambda: not servers.find(ONE))
    side.see(network.delete_port, port.id)
    side.see(network.delete_security_group, group.id)
    side.see(volumes.delete, volume.id)
    side.until(lambda: _status(volume) is None)


def resizes(side: Side) -> None:
    """To another flavor and back, each way, and what is refused."""
    group = side.see(network.create_security_group, *_marked(ONE))
    port, volume = _port(side, group.id), _volume(side)
    side.until(lambda: _status(volume) == "available")
    server = _server(side, port.id, volume.id)

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
    side.until(lambda: _status(volume) is None)


def replaced(server_id: str) -> tuple[str, bool] | None:
    """What last gave a server another disk, and whether that is over."""
    found = servers.find_replacement(server_id)
    if found is None:
        return None
    end = servers.find_end(server_id, found)
    return found.action, end is not None and end >= found.started


def rebuilds(side: Side) -> None:
    """Another root disk: what Nova tells of it and when, also of one that is switched off."""
    group = side.see(network.create_security_group, *_marked(ONE))
    port, volume = _port(side, group.id), _volume(side)
    side.until(lambda: _status(volume) == "available")
    server = _server(side, port.id, volume.id)

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
    side.until(lambda: _status(volume) is None)


def _port(side: Side, group_id: str) -> Any:
    return side.see(
        network.create_port,
        *_marked(ONE),
        network_id=NETWORK,
        security_group_id=group_id,
        subnet_id=None,
        ip_address=None,
    )


def _marked(instance_id: str) -> tuple[str, str]:
    return names.network(instance_id), names.description(instance_id)


def _volume(side: Side, owner: str = ONE, **changes: Any) -> Any:
    wish = {"size_gib": 1, "volume_type": None, "availability_zone": None}
    wish |= {"metadata": names.metadata(owner, 1)} | changes
    return side.see(volumes.create, names.volume(owner), **wish)


def _server(side: Side, port_id: str, volume_id: str, **changes: Any) -> Any:
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


def _status(volume: Any) -> str | None:
    found = volumes.get(volume.id)
    return found.status if found else None


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
    group = side.see(network.create_security_group, *_marked(ONE))
    port, volume = _port(side, group.id), _volume(side)
    side.until(lambda: _status(volume) == "available")
    _server(side, port.id, volume.id, group_id=UNKNOWN)
    server = _server(side, port.id, volume.id, group_id=first)

    def active() -> bool:
        (found,) = servers.find(ONE)
        return bool(found.status == "ACTIVE")

    side.until(active)
    for each in (first, UNKNOWN):
        side.see(server_groups.delete, each)
    side.see(server_groups.find, ONE)
    side.see(servers.get, server)


@pytest.mark.parametrize(
    "script", [everything, strangers, refusals, faults, broken_builds, resizes, rebuilds, groups]
)
def test_both_sides_give_the_same_results_and_errors(
    served: tuple[ServedCloud, Any], script: Callable[[Side], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, connection = served
    with monkeypatch.context() as patch:
        for module in (session, servers, server_groups, volumes, network, images, flavors):
            patch.setattr(module, "connection", lambda: connection)
        original = Served(cloud)
        script(original)
    simulated = Simulated()
    simulated.functions.install()
    try:
        script(simulated)
    finally:
        simulated.functions.uninstall()
    assert simulated.seen == original.seen
    assert len(original.seen) >= 5


def test_every_function_of_the_cloud_has_a_stand_in_with_its_signature() -> None:
    import inspect

    originals = {
        (module, name): function
        for module in (servers, server_groups, volumes, network, images, flavors)
        for name, function in vars(module).items()
        if hasattr(function, "__wrapped__") and function.__module__ == module.__name__
    }
    side = Simulated()
    side.functions.install()
    try:
        for (module, name), original in originals.items():
            stand_in = getattr(module, name)
            assert stand_in is not original, f"{module.__name__}.{name} has no stand-in"
            inner = inspect.signature(side.functions._functions()[module][name])
            assert inner.parameters.keys() == inspect.signature(original).parameters.keys()
    finally:
        side.functions.uninstall()
    assert all(getattr(module, name) is function for (module, name), function in originals.items())


def test_a_call_is_one_effect_that_hooks_see_and_can_lose() -> None:
    side = Simulated()
    seen: list[Effect] = []

    class Watch:
        def before(self, effect: Effect) -> None:
            seen.append(effect)

        def after(self, effect: Effect) -> None:
            from simulator.cloud.model.errors import GatewayTimeout

            raise GatewayTimeout("The server did not respond in time.")

    side.effects.hooks.append(Watch())
    side.functions.install()
    try:
        step = side.kernel.spawn(lambda: _volume(side), "create_instance.volume")
        side.kernel.run(side.kernel.now + 1)
    finally:
        side.functions.uninstall()
    assert step.error is None
    said = "The cloud could not create the volume coffer-<0>: it answered 504"
    assert side.seen == [f"create: CloudAway {said}"]
    assert [(each.service, each.call) for each in seen] == [("openstack", "volumes.create")]
    assert seen[0].what["size_gib"] == 1
    assert len(side.cloud.volume.volumes) == 1
    assert side.effects.calls["create_instance.volume", "openstack", "volumes.create"] == 1
