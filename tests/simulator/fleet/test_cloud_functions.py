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

from chalicelib.cloud import errors, flavors, images, network, servers, volumes
from simulator.cloud.model.cloud import Cloud, Passwords
from simulator.cloud.model.faults import Fault
from simulator.cloud.model.identity import stable_id
from simulator.cloud.model.seams import Done
from simulator.cloud_functions import CloudFunctions, make_cloud
from simulator.effects import Effect, Effects
from simulator.kernel import Kernel
from tests.cloud.served import ServedCloud

NETWORK = stable_id("network", "private")
IMAGE = stable_id("image", "coffer-guest")
UNKNOWN = "00000000-0000-4000-8000-00000000beef"
GUEST_NETWORK = "127.94.0.0/16"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ADDRESS = re.compile(r"127\.94\.\d+\.\d+")


class Side:
    """A cloud behind the functions, and the transcript of a script on it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._names: dict[str, str] = {}

    def arm(self, service: str, call: str, mode: str) -> None:
        """Let the next such call go wrong."""
        raise NotImplementedError

    def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until something is so."""
        raise NotImplementedError

    def see(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function and write down what came of it."""
        try:
            result = function(*args, **kwargs)
        except errors.CloudError as error:
            self._write(f"{function.__name__}: {type(error).__name__} {error}")
            return None
        shown = sorted(map(repr, result)) if isinstance(result, list) else repr(result)
        self._write(f"{function.__name__}: {shown}")
        return result

    def _write(self, text: str) -> None:
        text = re.sub(r"rules=frozenset\(\{(.*?)\}\)", _sorted_rules, text)
        self.seen.append(_ADDRESS.sub(self._name, _UUID.sub(self._name, text)))

    def _name(self, found: re.Match[str]) -> str:
        value = found[0]
        if value in (NETWORK, IMAGE, UNKNOWN):
            return value
        return self._names.setdefault(value, f"<{len(self._names)}>")


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
        self.cloud: Cloud = make_cloud(self.kernel, Instant())
        self.cloud.bootstrap(Passwords("a", "s", "d"), "http://cloud")
        self.cloud.network.subnets.clear()
        self.cloud.network.create_subnet(self.cloud.admin(), NETWORK, GUEST_NETWORK)
        self.functions = CloudFunctions(self.kernel, self.effects, self.cloud)

    def arm(self, service: str, call: str, mode: str) -> None:
        self.cloud.faults.arm(Fault("f", service, call, mode))

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(100):
            if condition():
                return
            self.kernel.run(self.kernel.now + 0.1)
        raise AssertionError("it did not come true")


class Served(Side):
    """The original functions, over HTTP."""

    def __init__(self, cloud: ServedCloud, token: str) -> None:
        super().__init__()
        self.cloud = cloud
        self._token = token

    def arm(self, service: str, call: str, mode: str) -> None:
        fault = {"service": service, "call": call, "mode": mode, "count": 1}
        assert self.cloud.call("POST", "/_simulator/faults", self._token, json=fault).ok

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it did not come true"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[ServedCloud, Any]]:
    """A cloud that is served for these tests, and the connection of Coffer's own user to it."""
    root = Path(tempfile.mkdtemp(prefix="coffer-contract-"))
    root.chmod(0o755)
    cloud = ServedCloud(root, "--guest-network", GUEST_NETWORK)
    cloud.start()
    yield cloud, cloud.connect("coffer")
    cloud.stop()
    shutil.rmtree(root, ignore_errors=True)


def everything(side: Side) -> None:
    """A server with all its parts, from the first look to the last delete."""
    side.see(flavors.list_all)
    side.see(images.newest_with_tags, ["coffer"])
    side.see(images.newest_with_tags, ["coffer", "other"])
    side.see(images.newest_with_tags, [])
    side.see(network.get_network, NETWORK)
    side.see(network.get_network, UNKNOWN)
    side.see(network.find_security_groups, "coffer-1")
    group = side.see(network.create_security_group, "coffer-1", "of a test")
    for rule in (network.Rule(3306, "0.0.0.0/0"), network.Rule(3306, "::/0")):
        side.see(network.create_rule, group.id, rule)
        side.see(network.create_rule, group.id, rule)
    side.see(network.find_security_groups, "coffer-1")
    side.see(network.list_security_groups, "coffer-")
    port = _port(side, group.id)
    side.see(network.find_ports, "coffer-1")
    side.see(network.list_ports, "coffer-")
    side.see(network.list_ports, "other-")
    volume = _volume(side)
    side.until(lambda: _status(volume) == "available")
    side.see(volumes.get, volume.id)
    side.see(volumes.find, "coffer-1")
    side.see(volumes.list_all, "coffer-")
    server = _server(side, port.id, volume.id)
    _server(side, port.id, volume.id)
    side.until(lambda: servers.find("^coffer-1$")[0].status == "ACTIVE")
    side.see(servers.find, "^coffer-[0-9]+$")
    side.see(servers.find, "^other")
    side.see(volumes.delete, volume.id)
    side.see(network.delete_security_group, group.id)
    side.see(servers.delete, server.id)
    side.until(lambda: not servers.find("^coffer-1$"))
    side.see(servers.delete, server.id)
    for _ in range(2):
        side.see(network.delete_port, port.id)
        side.see(network.delete_security_group, group.id)
    side.see(volumes.delete, volume.id)
    side.until(lambda: _status(volume) is None)
    side.see(volumes.delete, volume.id)
    side.see(volumes.get, volume.id)


def refusals(side: Side) -> None:
    """What cannot be done, each for its own reason."""
    group = side.see(network.create_security_group, "coffer-2", "of a test")
    fixed = {"subnet_id": None, "ip_address": "127.94.7.7"}
    where = {"network_id": NETWORK, "security_group_id": group.id}
    port = side.see(network.create_port, "coffer-2", **where, **fixed)
    side.see(network.create_port, "coffer-2", **where, **fixed)
    side.see(network.create_port, "coffer-2", **where, **{**fixed, "ip_address": "10.0.0.1"})
    side.see(network.create_port, "coffer-2", **{**where, "network_id": UNKNOWN}, **fixed)
    side.see(network.create_port, "coffer-2", **{**where, "security_group_id": UNKNOWN}, **fixed)
    side.see(network.create_rule, UNKNOWN, network.Rule(1, "10.0.0.0/8"))
    _volume(side, size_gib=0)
    _volume(side, volume_type="no such type")
    _volume(side, size_gib=100_000)
    volume = _volume(side)
    side.until(lambda: _status(volume) == "available")
    _server(side, port.id, UNKNOWN)
    _server(side, UNKNOWN, volume.id)
    _server(side, port.id, volume.id, flavor_id="77")
    _server(side, port.id, volume.id, image_id=UNKNOWN)
    _server(side, port.id, volume.id, user_data="x" * 60_000)
    side.see(network.delete_port, port.id)
    side.see(network.delete_security_group, group.id)
    side.see(volumes.delete, volume.id)
    side.until(lambda: _status(volume) is None)


def faults(side: Side) -> None:
    """What a cloud does when it is not well, call by call."""
    reads: list[tuple[str, str, Callable[..., Any], tuple[Any, ...]]] = [
        ("compute", "list_servers", servers.find, ("^coffer",)),
        ("compute", "list_flavors", flavors.list_all, ()),
        ("volume", "list_volumes", volumes.find, ("coffer-3",)),
        ("network", "list_ports", network.find_ports, ("coffer-3",)),
        ("network", "list_security_groups", network.find_security_groups, ("coffer-3",)),
        ("network", "get_network", network.get_network, (NETWORK,)),
        ("image", "list_images", images.newest_with_tags, (["coffer"],)),
    ]
    for service, call, function, args in reads:
        for mode in ("refuse", "quota", "unavailable", "not_found", "error", "timeout_after"):
            side.arm(service, call, mode)
            side.see(function, *args)
    for mode in ("quota", "unavailable", "timeout_after"):
        side.arm("volume", "create_volume", mode)
        _volume(side, name="coffer-3")
        side.arm("network", "create_security_group", mode)
        side.see(network.create_security_group, "coffer-3", "of a test")
        side.see(network.find_security_groups, "coffer-3")
    side.until(lambda: {each.status for each in volumes.find("coffer-3")} == {"available"})
    (volume,), (group,) = volumes.find("coffer-3"), network.find_security_groups("coffer-3")
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
    group = side.see(network.create_security_group, "coffer-4", "of a test")
    port = _port(side, group.id)
    volume = _volume(side)
    side.until(lambda: _status(volume) == "available")
    side.arm("compute", "create_server", "error")
    server = _server(side, port.id, volume.id)
    side.until(lambda: servers.find("^coffer-1$")[0].status == "ERROR")
    side.see(servers.find, "^coffer-1$")
    side.see(servers.delete, server.id)
    side.until(lambda: not servers.find("^coffer-1$"))
    side.arm("compute", "create_server", "timeout_after")
    _server(side, port.id, volume.id)
    (server,) = servers.find("^coffer-1$")
    side.arm("compute", "delete_server", "stuck")
    side.see(servers.delete, server.id)
    (server,) = servers.find("^coffer-1$")
    side.see(lambda: server.deleting)
    side.see(servers.delete, server.id)
    side.until(lambda: not servers.find("^coffer-1$"))
    side.see(network.delete_port, port.id)
    side.see(network.delete_security_group, group.id)
    side.see(volumes.delete, volume.id)
    side.until(lambda: _status(volume) is None)


def _port(side: Side, group_id: str) -> Any:
    return side.see(
        network.create_port,
        "coffer-1",
        network_id=NETWORK,
        security_group_id=group_id,
        subnet_id=None,
        ip_address=None,
    )


def _volume(side: Side, **changes: Any) -> Any:
    wish = {"name": "coffer-1", "size_gib": 1, "volume_type": None, "availability_zone": None}
    wish |= {"metadata": {"a": "b"}} | changes
    return side.see(volumes.create, wish.pop("name"), **wish)


def _server(side: Side, port_id: str, volume_id: str, **changes: Any) -> Any:
    wish = {
        "image_id": IMAGE,
        "flavor_id": "1",
        "port_id": port_id,
        "volume_id": volume_id,
        "user_data": "#cloud-config\n{}",
        "availability_zone": None,
        "metadata": {"coffer_instance_id": "1"},
    }
    return side.see(servers.create, "coffer-1", **(wish | changes))


def _status(volume: Any) -> str | None:
    found = volumes.get(volume.id)
    return found.status if found else None


@pytest.mark.parametrize("script", [everything, refusals, faults, broken_builds])
def test_both_sides_give_the_same_results_and_errors(
    served: tuple[ServedCloud, Any], script: Callable[[Side], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, connection = served
    with monkeypatch.context() as patch:
        for module in (servers, volumes, network, images, flavors):
            patch.setattr(module, "connection", lambda: connection)
        original = Served(cloud, connection.auth_token)
        script(original)
    simulated = Simulated()
    simulated.functions.install()
    try:
        script(simulated)
    finally:
        simulated.functions.uninstall()
    assert simulated.seen == original.seen
    assert len(original.seen) > 10


def test_every_function_of_the_cloud_has_a_stand_in_with_its_signature() -> None:
    import inspect

    originals = {
        (module, name): function
        for module in (servers, volumes, network, images, flavors)
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
    assert side.seen == ["create: CloudAway The cloud could not create: " + _TIMEOUT]
    assert [(each.service, each.call) for each in seen] == [("openstack", "volumes.create")]
    assert seen[0].what["size_gib"] == 1
    assert len(side.cloud.volume.volumes) == 1
    assert side.effects.calls["create_instance.volume", "openstack", "volumes.create"] == 1


_TIMEOUT = "The server did not respond in time."
