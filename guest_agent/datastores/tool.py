"""A program of an engine, run as the database's user: its output, its input, its last words.

It dies with the agent, whatever kills that (PR_SET_PDEATHSIG), and with the call.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Protocol

from guest_agent.backups.store import Cancelled
from guest_agent.datastores import processes
from guest_agent.datastores.error_log import without_paths
from guest_agent.datastores.os_user import OsUser
from guest_agent.errors import GuestError

CHUNK_BYTES: Final = 1024**2
"""At once, and as much as waits in a pipe (proc(5), `pipe-max-size`): of the usual 64 KiB either
end would wait for the other all the time."""
SILENT_SECONDS: Final = 900.0
"""One that gives nothing, and reads or writes nothing either, for so long hangs. An increment of a
large table in which little has changed gives nothing for hours."""
ENDS_SECONDS: Final = 60.0
"""From its last byte to its end."""
LOOK_SECONDS: Final = 0.5
MOST_SAID_BYTES: Final = 8 * 1024**2
"""Of what one says of itself, on the disk of the server: its customers' functions may say more."""
BLOCK_BYTES: Final = 512
"""In which a file system tells how much there is of a file (stat(2))."""
_LAST_BYTES: Final = 16 * 1024
_ERROR: Final = re.compile(r"error|fatal|fail|cannot|no space|denied", re.IGNORECASE)
_STAMP: Final = re.compile(r"^(\[\d+\] )?(FATAL ERROR: )?\d{4}-\d\d-\d\d +[\d:.]+ (\[\d+\] |\d+ )?")


class Stop(Protocol):
    """Tells whether to go on, as an event does."""

    def is_set(self) -> bool: ...


class ToolFailed(GuestError):
    """It has ended with a code that is not good, less than 0 of one that a signal has ended."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.ended_with = code


def output(
    command: list[str],
    user: OsUser,
    stop: Stop,
    *,
    at: Path,
    handed_on: tuple[int, ...] = (),
) -> Iterator[bytes]:
    """What it writes `at` a folder, to its end; `GuestError` when that is not a good one.

    It has the descriptors that are handed on.
    """
    piped = running(command, user, stdout=subprocess.PIPE, pass_fds=handed_on, cwd=at)
    with piped as process:
        stream = process.stdout
        assert stream is not None, "it was asked for"
        while chunk := _read(process, stream, stop):
            yield chunk


def feed(command: list[str], user: OsUser, chunks: Iterable[bytes]) -> None:
    """Let it read all of them, and end; `GuestError` when it has not."""
    with running(command, user, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        stream = process.stdin
        assert stream is not None, "it was asked for"
        with suppress(BrokenPipeError):  # it has ended, and says why
            for chunk in chunks:
                _write(stream, chunk)
        with suppress(BrokenPipeError):
            stream.close()


def run(command: list[str], user: OsUser, seconds: float) -> None:
    """Let it do its work within so many seconds."""
    nothing = subprocess.DEVNULL
    with running(command, user, stdin=nothing, stdout=nothing) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise GuestError(f"{_name(command)} took longer than {seconds:.0f} s") from None


def ended(
    command: list[str],
    user: OsUser,
    look: Callable[[], None],
    seconds: float,
    handed_on: tuple[int, ...] = (),
    words: Callable[[IO[bytes]], str] | None = None,
) -> tuple[int, str]:
    """The code it ends with within so many seconds, and what it has said of an error: its last
    words, unless `words` finds better ones.

    `look` raises what ends it before its time.
    """
    with (
        tempfile.TemporaryFile() as said,
        _started(
            command, user, stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=handed_on
        ) as process,
    ):
        until = time.monotonic() + seconds
        while (code := process.poll()) is None:
            look()
            keep_short(said)
            if time.monotonic() >= until:
                raise GuestError(f"{_name(command)} took longer than {seconds:.0f} s")
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
        return code, (words or last_words)(said)


def _read(process: subprocess.Popen[bytes], stream: IO[bytes], stop: Stop) -> bytes:
    """Its next bytes; none at its end."""
    until, done = time.monotonic() + SILENT_SECONDS, ""
    while not select.select([stream], [], [], LOOK_SECONDS)[0]:
        if stop.is_set():
            break
        if time.monotonic() >= until:
            before, done = done, _done_by(process)
            if done == before:
                raise GuestError(f"{_name(process.args)} was silent for {SILENT_SECONDS:.0f} s")
            until = time.monotonic() + SILENT_SECONDS
    if stop.is_set():
        raise Cancelled("the backup was cancelled")
    return os.read(stream.fileno(), CHUNK_BYTES)


def _done_by(process: subprocess.Popen[bytes]) -> str:
    """What it has read and written so far, as proc(5) tells it; nothing of one that has ended."""
    try:
        return Path(f"/proc/{process.pid}/io").read_text(encoding="ascii")
    except OSError:
        return ""


def _write(stream: IO[bytes], chunk: bytes) -> None:
    """All of it, of which a pipe may take a part at a time."""
    left = memoryview(chunk)
    while left:
        left = left[stream.write(left) :]


@contextmanager
def running(command: list[str], user: OsUser, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The process; afterwards it has ended well, or `GuestError` tells how it did."""
    with tempfile.TemporaryFile() as said:
        with _started(command, user, stderr=said, **options) as process:
            yield process
            try:
                code = process.wait(ENDS_SECONDS)
            except subprocess.TimeoutExpired:
                raise GuestError(f"{_name(command)} did not end") from None
        if code != 0:
            raise ToolFailed(code, f"{_name(command)} ended with {code}: {last_words(said)}")


@contextmanager
def _started(command: list[str], user: OsUser, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The process; afterwards it is gone, with all that it has started."""
    process = subprocess.Popen(
        [processes.program("setpriv"), "--pdeathsig", "KILL", *command],
        env=processes.environment() | {"LC_ALL": "C.UTF-8"},
        start_new_session=True,
        bufsize=0,
        **user.child_options(),
        **{"cwd": "/", **options},
    )
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # whoever has many pipes gets none as large
                fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, CHUNK_BYTES)
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def keep_short(said: IO[bytes]) -> None:
    """Forget what one has said when that is much. It writes on where it was: before that the file
    is a hole."""
    if os.fstat(said.fileno()).st_blocks * BLOCK_BYTES > MOST_SAID_BYTES:
        os.ftruncate(said.fileno(), 0)


def tail(said: IO[bytes]) -> str:
    """The end of what it has said, also while it goes on."""
    size = os.fstat(said.fileno()).st_size
    last = os.pread(said.fileno(), _LAST_BYTES, max(size - _LAST_BYTES, 0))
    return last.lstrip(b"\0").decode(errors="replace")


def last_words(stream: IO[bytes]) -> str:
    """Its last line that tells an error, or else its last line."""
    lines = [line.strip() for line in tail(stream).splitlines()]
    told = [line for line in lines if line]
    errors = [line for line in told if _ERROR.search(line)]
    last = (errors or told or ["it said nothing"])[-1]
    return without_paths(_STAMP.sub("", last))


def _name(command: Any) -> str:
    """Of the program, without setpriv's part."""
    words = [str(each) for each in command]
    return Path(words[3] if words[1:2] == ["--pdeathsig"] else words[0]).name
