"""One stack for all acceptance tests of a run, on ports and addresses of its own."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import stack as local
from infra.local.progress import Silent
from infra.local.settings import StackSettings
from tests.acceptance.stack import Stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder go to one worker, which owns the stack."""
    for item in items:
        if "/acceptance/" in str(item.path):
            item.add_marker(pytest.mark.xdist_group("acceptance"))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A stack of its own, quick to report, that may be told where its handlers die."""
    state = Path(tempfile.mkdtemp(prefix="coffer-test-", dir="/var/tmp"))  # noqa: S108
    state.chmod(0o755)
    plan = state / "crash-plan"
    plan.mkdir()
    settings = StackSettings(
        state=state,
        aws_port=free_port(),
        cloud_port=free_port(),
        guest_network=f"127.{100 + os.getpid() % 100}.0.0/16",
        parameters={"CrashPlan": str(plan), "HeartbeatSeconds": "3", "LogLevel": "DEBUG"},
    )
    running = local.up(settings, Silent())
    try:
        yield Stack(settings, running.endpoint, plan)
    finally:
        local.down(settings, Silent())
        if not os.environ.get("COFFER_KEEP_STATE"):
            shutil.rmtree(state, ignore_errors=True)
