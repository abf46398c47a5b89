"""A function's process is forked from one that has imported its libraries, like any other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.forks import Forks

LIBRARY = "import os\nIMPORTED_BY = os.getpid()\n"
SCRIPT = """
import json, os, sys
sys.path.insert(0, os.getcwd())
import msgspec
for line in sys.stdin:
    told = [os.getpid(), msgspec.IMPORTED_BY, dict(os.environ), os.getcwd(), line.strip()]
    sys.stdout.write(json.dumps(told) + "\\n")
    sys.stdout.flush()
    sys.stderr.write("said\\n")
    sys.stderr.flush()
"""


class Started:
    """Processes as MiniStack starts them: in a folder of links to an unpacked package."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "package").mkdir()
        (folder / "package" / "msgspec.py").write_text(LIBRARY)
        (folder / "script.py").write_text(SCRIPT)
        self.forks = Forks()
        self.all: list[Any] = []

    def one(self, **environment: str) -> Any:
        code = self._folder / f"code{len(self.all)}"
        code.mkdir()
        (code / "msgspec.py").symlink_to(self._folder / "package" / "msgspec.py")
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.all.append(
            self.forks.popen(
                [sys.executable, str(self._folder / "script.py")],
                cwd=str(code),
                text=True,
                bufsize=1,
                env={"PATH": os.environ["PATH"], **environment},
                **pipes,
            )
        )
        return self.all[-1]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    made = Started(tmp_path)
    yield made
    for each in made.all:
        each.kill()
        each.wait(30)
        for stream in (each.stdin, each.stdout, each.stderr):
            stream.close()
    made.forks.close()


def told(process: Any, line: str = "hello") -> Any:
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_each_has_its_own_environment_and_the_same_imports(started: Started) -> None:
    first, second = started.one(NAME="api"), started.one(NAME="sweeper")
    pid, imported_by, environment, folder, line = told(first)
    assert (pid, line) == (first.pid, "hello")
    assert environment["NAME"] == "api"
    assert "HOME" not in environment
    assert folder.endswith("code0")
    assert first.stderr.readline() == "said\n"
    other = told(second)
    assert other[0] == second.pid != pid
    assert other[1] == imported_by not in (pid, second.pid)
    assert other[2]["NAME"] == "sweeper"


def test_one_ends_alone(started: Started) -> None:
    first, second = started.one(), started.one()
    told(first)
    assert first.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(0)
    first.terminate()
    assert first.wait(30) == first.poll() == 0
    assert first.stdout.read() == ""  # nobody else holds the other end
    first.terminate()  # of what has ended
    told(second)
    second.stdin.close()  # what its starter does that dies
    assert second.wait(30) == 0


def test_without_the_one_that_forks_a_process_starts_from_nothing(started: Started) -> None:
    zygote = told(started.one())[1]
    os.kill(zygote, signal.SIGKILL)
    plain = started.one()
    assert isinstance(plain, subprocess.Popen)
    assert told(plain)[0] == plain.pid
    again = told(started.one())
    assert again[1] != zygote


def test_what_is_no_python_is_started_as_ever(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.delattr(os, "pidfd_open")
        assert isinstance(started.one(), subprocess.Popen)
    other = started.forks.popen(["true"])
    assert isinstance(other, subprocess.Popen)
    assert other.wait(30) == 0
