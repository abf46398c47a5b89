"""The server process: started apart from the agent, found again after the agent's own restart."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any, Final

from guest_agent.datastores import error_log, processes
from guest_agent.datastores.server import Server
from guest_agent.errors import GuestError

READY_SECONDS: Final = 600.0  # crash recovery of a large volume takes its time
STOP_SECONDS: Final = 150.0
_KILLED: Final = frozenset({-signal.SIGKILL, -signal.SIGTERM})
"""By somebody else: what it said last has nothing to do with that."""


class Service:
    """One process, known by an argument in its command line that no other server has."""

    def __init__(self, server: Server[Any]) -> None:
        self._server = server
        self._user = server.user
        self._pid: int | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def alive(self) -> bool:
        """Whether the process that is known to this object lives."""
        if self._child is not None:
            return self._child.poll() is None
        return self._pid is not None and processes.has_argument(
            self._pid, self._server.argument, self._user.uid
        )

    def adopt(self) -> int | None:
        """Find a process started by an earlier run of the agent; its id."""
        if self.alive():
            return self._pid
        found = processes.first_with(self._server.argument, self._user.uid)
        self._child, self._pid = None, found
        return self._pid

    def start(self) -> bool:
        """Start the server unless it runs; true when it was started."""
        if self.adopt() is not None:
            return False
        layout = self._server.layout
        self._user.make_folder(layout.scratch)
        self._user.check_can_reach(layout.data)
        self._server.end_remains()
        self._server.make_ready()
        with os.fdopen(error_log.open_for(self._server.log.path, self._user), "ab") as stream:
            self._child = subprocess.Popen(
                self._server.command(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=processes.environment(),
                cwd="/",
                start_new_session=True,
                **self._user.child_options(),
            )
        self._pid = self._child.pid
        return True

    def death(self) -> str:
        """How a process that is gone has ended, as far as this agent could see."""
        code = self._child.poll() if self._child is not None else None
        if code is None:
            how = "the database has ended"
        elif code < 0:
            how = f"the database was ended by {_signal_name(-code)}"
        else:
            how = f"the database ended with exit code {code}"
        log = self._server.log
        cause = log.first_error() or (None if code in _KILLED else log.last_line())
        return f"{how} ({cause})" if cause else how

    def wait_until_ready(self, answers: Callable[[], bool]) -> None:
        """Wait until the server answers; `GuestError` when it ends or takes too long."""

        def settled() -> bool:
            return answers() or not self.alive()

        if not processes.wait_until(settled, READY_SECONDS):
            raise GuestError(f"the database did not answer within {READY_SECONDS:.0f} s")
        if not self.alive():
            raise GuestError(f"{self.death()}, while it started")

    def stop(self) -> bool:
        """Shut the server down cleanly; true when it ran. Never kills: data comes first."""
        pid = self.adopt()
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, self._server.STOP_SIGNAL)
        if not processes.wait_until(lambda: not self.alive(), STOP_SECONDS):
            raise GuestError(f"the database did not stop within {STOP_SECONDS:.0f} s")
        self._child, self._pid = None, None
        return True


def _signal_name(number: int) -> str:
    """Its name; most of the real-time signals, which end a process as well, have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
