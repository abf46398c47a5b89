"""Starts, finds and stops the long-running processes of a stack.

A pid file holds the pid and the start time of its process, so that a number the kernel has given to
somebody else is never taken for ours.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import psutil

from infra.errors import NotAnsweringError, PortInUseError, ProcessDiedError

STACK_VARIABLE: Final = "COFFER_STACK"
TERM_SECONDS: Final = 15.0
KILL_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.05
LAST_LINES: Final = 12
# Passed on to the processes of a stack; what else is set (AWS_*, OS_*) is not theirs.
PASSED_ON: Final = ("PATH", "HOME", "LANG", "TZ", "SSL_CERT_FILE")


class PartProcess:
    """One part of the stack as a process: `<folder>/pid` and `<folder>/log`."""

    def __init__(
        self, name: str, folder: Path, stack: Path, *, grace_seconds: float = TERM_SECONDS
    ) -> None:
        self.name = name
        self.folder = folder
        self.stack = stack
        self.grace_seconds = grace_seconds
        # Set by the one that started it: the kernel wants a parent to collect its child.
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"

    def running(self) -> psutil.Process | None:
        """The process behind the pid file, if it still is the one that was started."""
        if self._child is not None:
            self._child.poll()
        try:
            pid, started = self.pid_file.read_text().split()
            process = psutil.Process(int(pid))
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            same = abs(process.create_time() - float(started)) < 0.02
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if same else None

    def stale(self) -> str | None:
        """Words about a pid file whose process is not ours (any more), or None."""
        if not self.pid_file.exists() or self.running() is not None:
            return None
        pid = self.pid_file.read_text().split()[:1]
        return f"{self.name}: process {pid[0] if pid else '?'} of the last run is gone"

    def start(self, command: list[str], environment: dict[str, str], cwd: Path) -> psutil.Process:
        """Start the command detached from this terminal, its output appended to the log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                command,
                cwd=cwd,
                env=passed_on | {STACK_VARIABLE: str(self.stack)} | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = psutil.Process(self._child.pid)
        self.pid_file.write_text(f"{process.pid} {process.create_time()}\n")
        return process

    def wait_until(self, answers: Callable[[], bool], timeout_seconds: float) -> None:
        """Wait until `answers()`; raises when the process ends or the time runs out."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if answers():
                return
            if self.running() is None:
                raise ProcessDiedError(
                    f"{self.name} ended while it started. Its last words:\n{self.last_words()}",
                    f"The whole log: {self.log}",
                )
            time.sleep(POLL_SECONDS)
        raise NotAnsweringError(
            f"{self.name} did not answer within {timeout_seconds:.0f} s.",
            f"Look at {self.log}; `coffer down` stops it.",
        )

    def last_words(self) -> str:
        """The end of the log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])

    def stop(self) -> bool:
        """End the process, in the end by force, with what it started; False if it was not there."""
        process = self.running()
        if process is not None:
            stop_all([process], with_children=True, grace_seconds=self.grace_seconds)
        if self._child is not None:
            # Its first thread may be dead and another not yet: it can be collected after the last.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(KILL_SECONDS)
        self.pid_file.unlink(missing_ok=True)
        return process is not None


def stop_all(
    processes: Iterable[psutil.Process],
    *,
    with_children: bool = False,
    grace_seconds: float = TERM_SECONDS,
) -> None:
    """TERM, wait, KILL. Children are noted before, since a dead parent has none."""
    asked = list(processes)
    everyone = list(asked)
    if with_children:
        for process in asked:
            with contextlib.suppress(psutil.NoSuchProcess):
                everyone += process.children(recursive=True)
    for process in asked:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _wait_until_ended(asked, grace_seconds)
    alive = [process for process in everyone if not _ended(process)]
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _wait_until_ended(alive, KILL_SECONDS)


def _wait_until_ended(processes: list[psutil.Process], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline and not all(map(_ended, processes)):
        time.sleep(POLL_SECONDS)


def _ended(process: psutil.Process) -> bool:
    """Gone, or dead and not collected: a container's first process may never collect it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def leftovers(stack: Path) -> list[psutil.Process]:
    """Processes of this stack that nobody owns any more: workers of a killed MiniStack, guests of a
    killed cloud. Known by the variable they inherited, or by a server's folder in their arguments.
    """
    servers = f"{stack}/cloud/servers/"
    ours = [os.getpid(), *(parent.pid for parent in psutil.Process().parents())]
    found = []
    for process in psutil.process_iter():
        if process.pid in ours:
            continue
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            of_the_stack = environment.get(STACK_VARIABLE) == str(stack)
            of_a_guest = "COFFER_SERVER_ID" in environment and any(
                servers in argument for argument in process.cmdline()
            )
            if of_the_stack or of_a_guest:
                found.append(process)
    return found


def port_owner(port: int) -> str | None:
    """Who listens on a TCP port ("mysqld, pid 12"), or None."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            if connection.pid is None:
                return "a process of another user"
            try:
                return f"{psutil.Process(connection.pid).name()}, pid {connection.pid}"
            except psutil.NoSuchProcess:
                return f"pid {connection.pid}"
    return None


def require_free(port: int, option: str) -> None:
    """Raise PortInUseError, with the owner and the option that chooses another port."""
    if owner := port_owner(port):
        raise PortInUseError(
            f"Port {port} is in use by {owner}.",
            f"Stop it, or choose another port: coffer up {option} {port + 1}",
        )
