"""Processes of functions, forked from one that has imported what each of them would import."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, Final

ZYGOTE: Final = Path(__file__).with_name("zygote.py")


class Forked:
    """A process that another one has forked; it is used like a `subprocess.Popen` of text."""

    def __init__(self, pid: int, handle: int, streams: tuple[IO[str], IO[str], IO[str]]) -> None:
        """`handle` is its pidfd; the streams are the other ends of its three."""
        self.pid = pid
        self.stdin, self.stdout, self.stderr = streams
        self.returncode: int | None = None
        """Nobody but its parent is told: 0 stands for any end."""
        self._handle = handle
        self._ended = select.poll()
        self._ended.register(handle, select.POLLIN)

    def __del__(self) -> None:
        os.close(self._handle)

    def poll(self) -> int | None:
        """None while it runs."""
        if self.returncode is None and self._ended.poll(0):
            self.returncode = 0
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. `subprocess.TimeoutExpired` when it runs for longer than that."""
        if not self._ended.poll(None if timeout is None else timeout * 1000):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        self.returncode = 0
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._handle, number)


class Zygote:
    """The process that forks for one unpacked package."""

    def __init__(self, folder: Path) -> None:
        self._asking = threading.Lock()
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            command = [sys.executable, "-P", str(ZYGOTE), str(folder)]
            self._process = subprocess.Popen(command, stdin=other.fileno())

    def close(self) -> None:
        """End it; what it has forked goes on."""
        self._socket.close()
        self._process.wait()

    def fork(self, script: str, folder: str, environment: dict[str, str]) -> Forked:
        """A process that runs the script. `OSError` when the zygote is gone."""
        wanted = {"script": script, "folder": folder, "environment": environment}
        (stdin, to), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
        try:
            pid, handle = self._ask(json.dumps(wanted).encode(), [stdin, stdout, stderr])
        except BaseException:
            for each in (to, out, err):
                os.close(each)
            raise
        finally:
            for each in (stdin, stdout, stderr):
                os.close(each)
        return Forked(pid, handle, (os.fdopen(to, "w", 1), os.fdopen(out), os.fdopen(err)))

    def _ask(self, message: bytes, descriptors: list[int]) -> tuple[int, int]:
        with self._asking:
            socket.send_fds(self._socket, [message], descriptors)
            said, handles, *_ = socket.recv_fds(self._socket, 64, 1)
        if not said:
            raise BrokenPipeError("the process that forks is gone")
        return int(said), handles[0]


class Forks:
    """Stands for `subprocess.Popen` where MiniStack starts a function's process."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._zygotes: dict[Path, Zygote] = {}

    def popen(self, command: list[str], **named: Any) -> "Forked | subprocess.Popen[Any]":
        """Fork a process that runs Python; start another from nothing."""
        if command[0] != sys.executable or not hasattr(os, "pidfd_open"):
            return subprocess.Popen(command, **named)
        package = next(Path(named["cwd"]).iterdir()).resolve().parent
        try:
            return self._zygote(package).fork(command[1], named["cwd"], named["env"])
        except OSError:
            with self._starting:
                gone = self._zygotes.pop(package, None)
            if gone is not None:
                gone.close()
            return subprocess.Popen(command, **named)

    def close(self) -> None:
        """End those that fork."""
        for each in self._zygotes.values():
            each.close()

    def _zygote(self, package: Path) -> Zygote:
        with self._starting:
            if package not in self._zygotes:
                self._zygotes[package] = Zygote(package)
            return self._zygotes[package]
