"""Two stacks for the acceptance tests of a run, each on ports and addresses of its own."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local.settings import StackSettings
from tests.acceptance.stack import ENDPOINT_VARIABLE, Stack, coffer
from tests.openstack.site import VARIABLE, Site
from tests.openstack.stack import deployed
from tests.support.loopback import free_port, own_network
from tests.wire.stack import left_at

CREATE_TIMEOUT_SECONDS = 150
"""Short enough for the test of a stuck server, long enough for a dozen creates side by side."""
REAL_TIMEOUT_SECONDS = 600
"""For services of eighteen processes on two cores."""
QUICK_SECONDS, MEASURED_SECONDS = 3, 30
"""Between two heartbeats: so that a test waits for none, and that they are not what is measured."""
BOUNDED = ("Create", "Restart", "Resize", "Power", "Rebuild")
"""What waits for a guest."""

ASKED = {"test_on_openstack.py": VARIABLE, "test_tempest.py": "COFFER_TEMPEST"}
"""What needs more than a stack, by the variable that says that it is there."""
collect_ignore = [name for name, variable in ASKED.items() if not os.environ.get(variable)]


DATA = ("backup", "configurations", "point_in_time", "postgresql", "redis", "restore", "swift")
"""What the tests of one of the two stacks are about; they wait more than they work."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """The tests of one stack go to one worker, which owns it."""
    if "/acceptance/" in str(item.path):
        subject = item.path.stem.removeprefix("test_")
        group = "acceptance-data" if subject.startswith(DATA) else "acceptance"
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack of its own, quick to report, that may be told where its handlers die.

    Where something is measured its guests report as seldom as elsewhere, and it is on a disk.
    """
    measured = any(item.get_closest_marker("bench") for item in request.session.items)
    state = Path(tempfile.mkdtemp(prefix="coffer-test-", dir="/var/tmp" if measured else None))
    state.chmod(0o755)
    begin = _on_real_openstack if os.environ.get(VARIABLE) else _on_local_cloud
    parameters = {
        "HeartbeatSeconds": str(MEASURED_SECONDS if measured else QUICK_SECONDS),
        "LogLevel": "DEBUG",
    }
    try:
        with begin(state, parameters) as running:
            yield running
    finally:
        if not os.environ.get("COFFER_KEEP_STATE"):
            shutil.rmtree(state, ignore_errors=True)


@contextmanager
def _on_real_openstack(state: Path, parameters: dict[str, str]) -> Iterator[Stack]:
    """The one that `python -m tests.openstack` runs beside the tests."""
    slower = {f"{flow}TimeoutSeconds": str(REAL_TIMEOUT_SECONDS) for flow in BOUNDED}
    site = Site.read(Path(os.environ[VARIABLE]))
    with deployed(site, state, {**parameters, **slower}) as running:
        yield running


@contextmanager
def _on_local_cloud(state: Path, parameters: dict[str, str]) -> Iterator[Stack]:
    """`coffer up`, as a person has it: with a MiniStack of its own, or on an AWS that is there.

    There Coffer has to be gone without a trace at the end.
    """
    endpoint = os.environ.get(ENDPOINT_VARIABLE)
    environment = {
        **os.environ,
        "COFFER_STATE": str(state),
        "COFFER_AWS_PORT": str(free_port()),
        "COFFER_CLOUD_PORT": str(free_port()),
        "COFFER_API_PORT": str(free_port()),
        "COFFER_GUEST_NETWORK": own_network(),
    }
    plan = state / "crash-plan"
    plan.mkdir()
    bounds = {f"{flow}TimeoutSeconds": str(CREATE_TIMEOUT_SECONDS) for flow in BOUNDED}
    parameters = {**parameters, **bounds, "CrashPlan": str(plan)}
    given = [f"--parameter={name}={value}" for name, value in parameters.items()]
    if endpoint is not None:
        given.append(f"--endpoint={endpoint}")
    before = left_at(endpoint) if endpoint is not None else {}
    try:
        coffer(environment, "up", *given)
        recorded = json.loads((state / "config.json").read_text())
        settings = StackSettings(
            state=state,
            aws_port=recorded["aws_port"],
            cloud_port=recorded["cloud_port"],
            chosen_api_port=recorded["api_port"],
            guest_network=recorded["guest_network"],
            aws_endpoint=endpoint,
        )
        yield Stack(settings, recorded["endpoint"], plan)
    finally:
        coffer(environment, "down")
    if endpoint is not None:
        assert left_at(endpoint) == before
