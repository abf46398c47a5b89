"""One contract for the cloud's functions: over HTTP on a served cloud, and in memory.

Each script of calls is run on both, and what it saw has to be the same: results and errors word for
word, with ids and addresses named in the order in which they turned up.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.cloud import (
    flavors,
    images,
    network,
    server_groups,
    servers,
    session,
    snapshots,
    volumes,
)
from simulator.effects import Effect
from tests.cloud.served import ServedCloud
from tests.simulator.fleet.plays import everything, faults, make_volume, refusals, strangers
from tests.simulator.fleet.plays_of_servers import broken_builds, groups, rebuilds, resizes
from tests.simulator.fleet.sides import GUEST_NETWORK, Served, Side, Simulated

MODULES = (servers, server_groups, volumes, snapshots, network, images, flavors)


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


@pytest.mark.parametrize(
    "script",
    [
        *(everything, strangers, refusals, faults),
        *(broken_builds, resizes, rebuilds, groups),
    ],
)
def test_both_sides_give_the_same_results_and_errors(
    served: tuple[ServedCloud, Any], script: Callable[[Side], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, connection = served
    with monkeypatch.context() as patch:
        for module in (session, *MODULES):
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
        for module in MODULES
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
        step = side.kernel.spawn(lambda: make_volume(side), "create_instance.volume")
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
