"""A tool that gives nothing for long: one that works is waited for, one that hangs is not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pytest

from chalicelib import aws
from guest_agent.datastores import tool
from guest_agent.datastores.os_user import own_user
from guest_agent.errors import GuestError

SILENT_SECONDS: Final = 0.5
WORKS: Final = """
import time
until = time.monotonic() + 3
with open("/dev/zero", "rb", buffering=0) as pages:
    while time.monotonic() < until:
        pages.read(4096)
        time.sleep(0.05)
print("done")
"""
HANGS: Final = "import time; time.sleep(600)"


def said(program: str) -> bytes:
    command = [sys.executable, "-c", program]
    return b"".join(tool.output(command, own_user(), aws.event(), at=Path("/")))


def test_one_that_reads_on_is_waited_for_and_one_that_hangs_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As mariadb-backup does, which looks for changed pages in a table that has none."""
    monkeypatch.setattr(tool, "SILENT_SECONDS", SILENT_SECONDS)
    assert said(WORKS) == b"done\n"
    with pytest.raises(GuestError, match="was silent"):
        said(HANGS)
