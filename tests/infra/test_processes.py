"""Processes of a stack: found again, never mistaken, stopped with all that they started."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.errors import NotAnsweringError, PortInUseError, ProcessDiedError
from infra.local.processes import (
    STACK_VARIABLE,
    PartProcess,
    leftovers,
    port_owner,
    require_free,
    stop_all,
)
from tests.support.loopback import free_port

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)",
]
BOUND_SECONDS = 60


@pytest.fixture
def part(tmp_path: Path) -> Iterator[PartProcess]:
    made = PartProcess("A part", tmp_path / "part", tmp_path, grace_seconds=1)
    yield made
    made.stop()
    stop_all(leftovers(tmp_path))


def test_a_started_process_is_found_by_its_pid_file(part: PartProcess, tmp_path: Path) -> None:
    started = part.start(SLEEPER, {}, tmp_path)
    found = PartProcess("A part", part.folder, tmp_path).running()
    assert found is not None
    assert found.pid == started.pid
    assert part.stale() is None


def test_a_pid_that_was_given_to_somebody_else_is_stale(part: PartProcess) -> None:
    part.folder.mkdir()
    part.pid_file.write_text(f"{os.getpid()} {psutil.Process().create_time() - 100}\n")
    assert part.running() is None
    assert str(os.getpid()) in str(part.stale())


@pytest.mark.parametrize("content", ["", "nonsense", "999999999 1.0"])
def test_a_broken_pid_file_means_nothing_runs(part: PartProcess, content: str) -> None:
    part.folder.mkdir()
    part.pid_file.write_text(content)
    assert part.running() is None
    assert part.stale() is not None


def test_stopping_ends_the_children_too(part: PartProcess, tmp_path: Path) -> None:
    parent = part.start(PARENT, {}, tmp_path)
    part.wait_until(lambda: "ready" in part.last_words(), BOUND_SECONDS)
    (child,) = parent.children()
    assert part.stop()
    assert part.running() is None
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert not part.pid_file.exists()
    assert not part.stop()


def test_the_children_of_a_killed_process_are_leftovers(part: PartProcess, tmp_path: Path) -> None:
    parent = part.start(PARENT, {}, tmp_path)
    part.wait_until(lambda: "ready" in part.last_words(), BOUND_SECONDS)
    (child,) = parent.children()
    parent.kill()
    parent.wait(BOUND_SECONDS)
    assert [process.pid for process in leftovers(tmp_path)] == [child.pid]
    stop_all(leftovers(tmp_path), grace_seconds=1)
    assert leftovers(tmp_path) == []


def test_a_guest_of_another_stack_is_not_ours(tmp_path: Path) -> None:
    environment = {"COFFER_SERVER_ID": "s", STACK_VARIABLE: f"{tmp_path}-other"}
    with subprocess.Popen(SLEEPER, env=environment) as other:
        assert leftovers(tmp_path) == []
        other.kill()


def test_a_process_does_not_inherit_the_callers_keys(
    part: PartProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("OS_PASSWORD", "secret")
    process = part.start(SLEEPER, {"A": "b"}, tmp_path)
    part.wait_until(process.environ, BOUND_SECONDS)  # it is empty while the kernel loads a program
    environment = process.environ()
    assert environment["A"] == "b"
    assert not {"AWS_PROFILE", "OS_PASSWORD"} & set(environment)


def test_a_process_that_ends_while_it_starts_is_told_with_its_last_words(
    part: PartProcess, tmp_path: Path
) -> None:
    part.start([sys.executable, "-c", "print('no such option')"], {}, tmp_path)
    with pytest.raises(ProcessDiedError, match="no such option"):
        part.wait_until(lambda: False, BOUND_SECONDS)


def test_waiting_for_a_silent_process_has_a_bound(part: PartProcess, tmp_path: Path) -> None:
    part.start(SLEEPER, {}, tmp_path)
    with pytest.raises(NotAnsweringError, match="did not answer"):
        part.wait_until(lambda: False, 0.2)


def test_a_taken_port_is_told_with_its_owner_and_another_port() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert f"pid {os.getpid()}" in str(port_owner(port))
        with pytest.raises(PortInUseError, match=f"Port {port} is in use") as raised:
            require_free(port, "--aws-port")
    assert f"--aws-port {port + 1}" in raised.value.advice
    require_free(port, "--aws-port")
