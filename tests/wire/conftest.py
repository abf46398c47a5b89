"""Coffer on an AWS that was there before it: MiniStack, or whatever COFFER_WIRE_ENDPOINT names."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.errors import NotAnsweringError
from infra.local import ministack
from infra.local.endpoint import require_answer
from infra.local.settings import StackSettings, cache_folder
from tests.acceptance.stack import ENDPOINT_VARIABLE, coffer
from tests.support.loopback import free_port, own_network
from tests.wire.stack import WireStack, left_at

AGENT = f"{shlex.quote(sys.executable)} -m simulator.fleet.wire_agent"


def pytest_itemcollected(item: pytest.Item) -> None:
    """All tests of this folder go to one worker, which owns the endpoint."""
    if "/wire/" in str(item.path):
        item.add_marker(pytest.mark.xdist_group("wire"))
        item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The base URL of an AWS that answers already."""
    if given := os.environ.get(ENDPOINT_VARIABLE):
        require_one(given)
        yield given
        return
    with scratch_folder() as state:
        settings = StackSettings(state, aws_port=free_port())
        part = ministack.start(settings, cache_folder())
        try:
            yield settings.aws_url
        finally:
            part.stop()


@pytest.fixture(scope="session")
def wire(endpoint: str) -> Iterator[WireStack]:
    """Coffer at the endpoint, with fake guests; at the end it has to be gone without a trace."""
    with scratch_folder() as state:
        environment = {
            **os.environ,
            "COFFER_STATE": str(state),
            "COFFER_CLOUD_PORT": str(free_port()),
            "COFFER_API_PORT": str(free_port()),
            "COFFER_GUEST_NETWORK": own_network(),
        }
        before = left_at(endpoint)
        try:
            coffer(
                environment,
                *("up", "--endpoint", endpoint, "--agent-command", AGENT),
                *("--parameter=HeartbeatSeconds=2", "--parameter=CreateTimeoutSeconds=120"),
            )
            recorded = json.loads((state / "config.json").read_text())
            settings = StackSettings(
                state=state,
                cloud_port=recorded["cloud_port"],
                guest_network=recorded["guest_network"],
                aws_endpoint=endpoint,
            )
            yield WireStack(settings, recorded["endpoint"], state)
        finally:
            coffer(environment, "down")
        assert left_at(endpoint) == before


def require_one(url: str) -> None:
    """End the tests, with what to do, when nothing answers there."""
    try:
        require_answer(StackSettings(state=Path(), aws_endpoint=url))
    except NotAnsweringError as error:
        pytest.exit(f"{error.message} Start it first ({ENDPOINT_VARIABLE}).", returncode=2)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A state folder that any user may enter."""
    state = Path(tempfile.mkdtemp(prefix="coffer-wire-"))
    state.chmod(0o755)
    try:
        yield state
    finally:
        if not os.environ.get("COFFER_KEEP_STATE"):
            shutil.rmtree(state, ignore_errors=True)
