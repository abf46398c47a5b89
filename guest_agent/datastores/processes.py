"""Processes of a database server, found by what stands in their command line."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from guest_agent.datastores.os_user import OsUser
from guest_agent.errors import GuestError

POLL_SECONDS: Final = 0.05
KILL_SECONDS: Final = 10.0
_PROC: Final = Path("/proc")
_PR_SET_CHILD_SUBREAPER: Final = 36
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "TZ", "COFFER_SERVER_ID")


def program(name: str) -> str:
    """The path of an installed program, also where an unprivileged PATH does not look."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        raise GuestError(f"{name} is not installed on this server")
    return found


def environment() -> dict[str, str]:
    """What a child may know: no credentials, but whose server it belongs to."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def has_argument(pid: int, argument: str, owner: int) -> bool:
    """Whether a living process of `owner` (uid) has exactly this argument; a zombie has none.

    Anybody may give a process of their own any argument: whose it is decides.
    """
    try:
        if (_PROC / str(pid)).stat().st_uid != owner:
            return False
        command_line = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
    return os.fsencode(argument) in command_line.split(b"\0")


def with_argument(argument: str, owner: int) -> list[int]:
    """The ids of all living processes of `owner` that have exactly this argument."""
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())
    return [pid for pid in pids if has_argument(pid, argument, owner)]


def first_with(argument: str, owner: int) -> int | None:
    """The one of them that started the others, if there is one."""
    found = with_argument(argument, owner)
    return next((pid for pid in found if _parent(pid) not in found), None)


def at_work_in(folder: Path, path: str, owner: int) -> list[int]:
    """The ids of all processes of `owner` that run the program at a path in that folder."""
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                of_owner = entry.stat().st_uid == owner
                if of_owner and (entry / "cwd").samefile(folder) and _runs(entry, path):
                    found.append(int(entry.name))
    return found


def _runs(process: Path, path: str) -> bool:
    """Whether it runs that program. One that is ending gives back its memory after it has none to
    tell a program of, and its folder after that.
    """
    try:
        return (process / "exe").samefile(path)
    except OSError:
        return True


def _parent(pid: int) -> int | None:
    try:
        return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def kill_all_with(argument: str, owner: int) -> None:
    """Kill what a former run of the agent left behind, and wait until it is gone."""

    def killed() -> bool:
        left = with_argument(argument, owner)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    if not wait_until(killed, KILL_SECONDS):
        raise GuestError("processes of an interrupted run could not be ended")


def kill_all_below(folder: Path, owner: int) -> None:
    """Kill all of `owner` that work in that folder or below it, and wait until they are gone."""

    def killed() -> bool:
        left = _at_work_below(folder.resolve(), owner)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    if not wait_until(killed, KILL_SECONDS):
        raise GuestError("processes of an interrupted run could not be ended")


def _at_work_below(folder: Path, owner: int) -> list[int]:
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if entry.stat().st_uid == owner and (entry / "cwd").readlink().is_relative_to(
                    folder
                ):
                    found.append(int(entry.name))
    return found


def kill_all_of(user: OsUser) -> None:
    """Kill whatever runs as a user that is this guest's alone, and wait until it is gone.

    One call is for all of them (kill(2), -1): no process outruns it by making others.
    """
    assert user.alone, "others might run as that user"
    assert user.switch, "the agent runs as that user"

    def gone() -> bool:
        subprocess.run(
            [program("sh"), "-c", "kill -KILL -1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
            cwd="/",
            timeout=KILL_SECONDS,
            check=False,  # there may be none
            **user.child_options(),
        )
        return not _living(user.uid)

    if not wait_until(gone, KILL_SECONDS):
        raise GuestError("processes that a database has begun could not be ended")


def _living(owner: int) -> bool:
    """Whether any process of `owner` is no zombie."""
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, IndexError):  # it has ended meanwhile
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if entry.stat().st_uid == owner and state not in "ZX":
                    return True
    return False


@contextmanager
def none_left(user: OsUser) -> Iterator[None]:
    """Whatever of `user` is begun in the block ends with it, also what has left its parents and
    their session: who loses its parent becomes a child of this process (PR_SET_CHILD_SUBREAPER).
    Where the user is this guest's alone, so does what an agent that has died had begun.

    Nobody else begins anything as that user meanwhile. Where that is the agent's own somebody
    might, and nothing is ended.
    """
    owner = user.uid
    if owner == os.geteuid():
        yield
        return
    before = set(_children(owner))
    _adopt_orphans(1)
    try:
        yield
    finally:

        def gone() -> bool:
            left = [pid for pid in _children(owner) if pid not in before]
            for pid in left:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, os.WNOHANG)
            return not left

        try:
            if user.alone:
                kill_all_of(user)
            if not wait_until(gone, KILL_SECONDS):
                raise GuestError("processes that a database has begun could not be ended")
        finally:
            _adopt_orphans(0)


def _adopt_orphans(wanted: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, wanted, 0, 0, 0) != 0:
        raise GuestError(f"orphans are not adopted: {os.strerror(ctypes.get_errno())}")


def _children(owner: int) -> list[int]:
    """Those of this process that are of `owner`."""
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and _parent(int(entry.name)) == os.getpid():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if entry.stat().st_uid == owner:
                    found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until the condition holds; false when it did not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
