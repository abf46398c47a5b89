"""The two sides that are compared: the simulated cloud's functions, and the served cloud's."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from chalicelib.cloud import errors
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud, Passwords
from simulator.cloud.model.faults import Fault
from simulator.cloud.model.identity import stable_id
from simulator.cloud.model.seams import Done
from simulator.cloud.model.settings import CloudSettings
from simulator.cloud_functions import CloudFunctions, make_cloud
from simulator.effects import Effects
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
