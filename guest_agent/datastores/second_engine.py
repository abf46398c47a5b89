"""An engine beside the guest's own, at work on a copy of its data that nobody needs afterwards.

It listens at a local socket in a folder that is the database user's alone, dies with its agent, and
is ended when what watches it says so.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Final

from chalicelib import aws
from guest_agent.datastores import processes, tool
from guest_agent.datastores.copies import Unsound
from guest_agent.datastores.os_user import OsUser
from guest_agent.datastores.session import LockedOut, Session
from guest_agent.datastores.trial import ENDED_BY_OTHERS, LOOK_SECONDS, TRIAL_SECONDS, Watch
from guest_agent.errors import CommandFailed, GuestError, Unavailable

ENDS_SECONDS: Final = 10.0
"""From its signal to its end; then it is killed."""


class SecondEngine:
    """One process, while the block lasts that `running` gives."""

    def __init__(
        self, process: subprocess.Popen[bytes], said: IO[bytes], last: signal.Signals
    ) -> None:
        self._process, self._said, self._last = process, said, last
        self._ended_by: Exception | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def said(self) -> str:
        """The end of what it has written so far."""
        return tool.tail(self._said)

    def wait_until_ready(self, connect: Callable[[], Session]) -> None:
        """Wait for its first answer: recovery may take as long as a trial does."""

        def answers() -> bool:
            try:
                connect().close()
            except LockedOut:
                raise Unsound("an engine on them does not let its administrator in") from None
            except Unavailable:
                return False
            except CommandFailed as error:
                self.require_alive("started")
                raise Unsound(f"an engine on them does not answer as it should: {error}") from None
            return True

        def settled() -> bool:
            return answers() or self._process.poll() is not None

        if not processes.wait_until(settled, TRIAL_SECONDS):
            raise GuestError("the engine beside the database did not answer in time")
        self.require_alive("started")

    def require_alive(self, when: str) -> None:
        """Raises why it is gone: what watches it has ended it, somebody has, or its data have."""
        code = self._process.poll()
        if self._ended_by is not None:
            raise self._ended_by
        if code is None:
            return
        words = f"the engine ended with {code} while it {when}: {tool.last_words(self._said)}"
        raise GuestError(words) if code in ENDED_BY_OTHERS else Unsound(words)

    @contextmanager
    def asked(self, when: str) -> Iterator[None]:
        """A question whose failure may be that it has ended meanwhile."""
        try:
            yield
        except CommandFailed:
            with suppress(subprocess.TimeoutExpired):  # its connection ends before it does
                self._process.wait(LOOK_SECONDS)
            self.require_alive(when)
            raise

    def end(self) -> None:
        """End it, in order if it can, within `ENDS_SECONDS`."""
        if self._process.poll() is None:
            self._process.send_signal(self._last)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDS_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(ENDS_SECONDS)

    def follow(self, watch: Watch) -> None:
        """End it when it may not go on."""
        while self._process.poll() is None:
            try:
                watch.look()
                tool.keep_short(self._said)
            except GuestError as error:
                self._ended_by = error
                self._process.kill()
                return
            aws.sleep(LOOK_SECONDS)


@contextmanager
def running(
    command: list[str],
    user: OsUser,
    watch: Watch,
    last: signal.Signals,
    environment: Mapping[str, str] | None = None,
) -> Iterator[SecondEngine]:
    """It, started; ended by the signal `last` when the block is left."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [processes.program("setpriv"), "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=processes.environment() | {"LC_ALL": "C.UTF-8"} | dict(environment or {}),
            cwd="/",
            start_new_session=True,
            **user.child_options(),
        )
        engine = SecondEngine(process, said, last)
        aws.spawn(lambda: engine.follow(watch), "second engine")
        try:
            yield engine
        finally:
            engine.end()
