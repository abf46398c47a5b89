"""A tool that gives nothing for long: one that works is waited for, one that hangs is not."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Final, cast

import pytest

from chalicelib import aws
from guest_agent.datastores import second_engine, tool
from guest_agent.datastores.os_user import own_user
from guest_agent.datastores.trial import Watch
from guest_agent.errors import GuestError
from tests.guest_agent.control_plane import wait_for

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


TALKS: Final = """
import sys, time
for _ in range(100):
    sys.stderr.write("word" * 2**18)
    sys.stderr.flush()
    time.sleep(0.03)
sys.exit("\\nerror: the last word")
"""
MIB: Final = 1024**2


def test_what_one_says_fills_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """As pg_restore does, of a function of a customer's that warns of each row."""
    files = list[IO[bytes]]()
    real = tempfile.TemporaryFile

    def kept() -> IO[bytes]:
        files.append(real())
        return files[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", kept)
    monkeypatch.setattr(tool, "MOST_SAID_BYTES", MIB)
    held = list[int]()
    command = [sys.executable, "-c", TALKS]
    ended = tool.ended(command, own_user(), lambda: held.append(_held(files[0])), 60)
    assert ended == (1, "error: the last word")
    assert MIB < max(held) < 60 * MIB


def test_what_an_engine_says_fills_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "MOST_SAID_BYTES", MIB)
    command = [sys.executable, "-c", TALKS]
    watched = cast(Watch, SimpleNamespace(look=lambda: None))
    with second_engine.running(command, own_user(), watched, signal.SIGKILL) as engine:
        wait_for(lambda: "last word" in engine.said())
        assert _held(engine._said) < 60 * MIB


def _held(said: IO[bytes]) -> int:
    return os.fstat(said.fileno()).st_blocks * tool.BLOCK_BYTES
