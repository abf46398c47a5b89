"""A real MiniStack for the tests that compare the simulated services with it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local import ministack as emulator
from infra.local.settings import (
    ACCESS_KEY_ID,
    HOST,
    REGION,
    SECRET_ACCESS_KEY,
    StackSettings,
    cache_folder,
)
from tests.support.loopback import free_port


def pytest_itemcollected(item: pytest.Item) -> None:
    """The tests that need the emulator share one, so one worker runs them all."""
    if "ministack" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.xdist_group("ministack"))


@pytest.fixture(scope="session")
def ministack() -> Iterator[dict[str, Any]]:
    """The arguments of a boto3 client of a MiniStack that is there for this run."""
    folder = Path(tempfile.mkdtemp(prefix="coffer-contract-"))
    settings = StackSettings(folder, aws_port=free_port())
    settings.ministack.mkdir()
    command = [str(emulator.ensure_installed(cache_folder()) / "bin" / "ministack")]
    environment = {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(settings.aws_port),
        "STATE_DIR": str(settings.ministack / "state"),
    }
    part = emulator.process(settings)
    part.start(command, environment, settings.ministack)
    try:
        part.wait_until(lambda: emulator.answers(settings), emulator.START_TIMEOUT_SECONDS)
        yield {
            "endpoint_url": settings.aws_url,
            "region_name": REGION,
            "aws_access_key_id": ACCESS_KEY_ID,
            "aws_secret_access_key": SECRET_ACCESS_KEY,
        }
    finally:
        part.stop()
        shutil.rmtree(settings.state, ignore_errors=True)
