"""A bundle of the agent: fetched, checked, and installed beside the releases that there are.

    fetch ──▶ SHA-256 ──▶ BASE/releases/<version>/, with `complete` in it at the end

Nothing of a bundle is looked at before its digest is the one of the command, which is sealed.
Whatever is cut short is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from urllib3.exceptions import HTTPError

from chalicelib import aws
from chalicelib.bus.contract.arguments import UpgradeAgent
from guest_agent.errors import GuestError
from guest_agent.files import own_folder
from guest_agent.http import Http

RELEASES: Final = "releases"
COMPLETE: Final = "complete"
INCOMING: Final = "incoming"
PIECE_BYTES: Final = 2 * 1024**2
FETCH_SECONDS: Final = 240.0
"""For all of a bundle, some 10 MB; what asks for it has one URL, which is good for longer."""
PIECE_SECONDS: Final = 30.0
PIECE_ATTEMPTS: Final = 3
INSTALL_SECONDS: Final = 480.0
"""Of an environment with pip, and the wheels in it: 8 s on a whole core, minutes on a slow one."""
POLL_SECONDS: Final = 0.5
MOST_SAID: Final = 200
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "COFFER_SERVER_ID")
_OK: Final = frozenset({200, 206})

Progress: TypeAlias = Callable[[str], None]


def install(base: Path, request: UpgradeAgent, progress: Progress) -> None:
    """Make the release of a bundle below `base`; `GuestError` when it cannot be.

    One that is whole already is left as it is.
    """
    with _alone(base) as lock:
        if not is_whole(base, request.version):
            _install(base, request, lock, progress)


def folder_of(base: Path, version: str) -> Path:
    """Where a release is, or would be."""
    return base / RELEASES / version


def is_whole(base: Path, version: str) -> bool:
    """Whether all of a release is on the disk."""
    return (folder_of(base, version) / COMPLETE).is_file()


def _install(base: Path, request: UpgradeAgent, lock: int, progress: Progress) -> None:
    incoming = base / INCOMING
    shutil.rmtree(incoming, ignore_errors=True)
    with own_folder(incoming, 0o700):
        pass
    archive, inside = incoming / "bundle.tar.gz", incoming / "bundle"
    progress("fetching the bundle")
    digest = _fetch(request, archive)
    if digest != request.sha256:
        raise GuestError(
            f"the bundle has the SHA-256 {digest}, and was to have {request.sha256}; nothing was "
            "installed"
        )
    progress("installing the release")
    inside.mkdir()
    unpack = ["tar", "--extract", "--gzip", "--no-same-owner", "--strip-components", "1"]
    _do([*unpack, "--file", str(archive), "--directory", str(inside)], incoming, lock)
    _do(["sh", str(inside / "install.sh"), "--beside", str(base)], incoming, lock)
    if not is_whole(base, request.version):
        raise GuestError(f"the bundle does not hold release {request.version}")
    shutil.rmtree(incoming, ignore_errors=True)


def _fetch(request: UpgradeAgent, target: Path) -> str:
    """Write the bundle to a file, piece by piece; its SHA-256."""
    digest, http, until = hashlib.sha256(), Http(), aws.monotonic() + FETCH_SECONDS
    with target.open("wb") as file:
        for start in range(0, request.size, PIECE_BYTES):
            end = min(start + PIECE_BYTES, request.size)
            piece = _piece(http, request.url, start, end, until)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _piece(http: Http, url: str, start: int, end: int, until: float) -> bytes:
    """Bytes from `start` to before `end`. The address is a key to the bundle: it is not told."""
    said = "no answer came"
    for attempt in range(PIECE_ATTEMPTS):
        aws.sleep(float(attempt))
        left = until - aws.monotonic()
        if left <= 0:
            break
        try:
            reply = http.get(url, {"Range": f"bytes={start}-{end - 1}"}, min(left, PIECE_SECONDS))
        except HTTPError:
            continue
        said = f"the answer was {reply.status} with {len(reply.body)} bytes"
        if reply.status in _OK and len(reply.body) == end - start:
            return reply.body
    raise GuestError(f"the bundle could not be fetched: {said}")


@contextmanager
def _alone(base: Path) -> Iterator[int]:
    """Hold the lock of installing, also against what an agent that died has left running.

    Who is started with its descriptor holds it as long as that lives.
    """
    with own_folder(base, 0o755):
        pass
    lock = os.open(base / f"{INCOMING}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = aws.monotonic() + INSTALL_SECONDS
        while not _locked(lock):
            if aws.monotonic() >= until:
                raise GuestError("an installation of before has not ended")
            aws.sleep(POLL_SECONDS)
        yield lock
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _environment() -> dict[str, str]:
    """What an installer may know: no credentials, but whose server it belongs to."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return kept | {"PYTHON": sys.executable}


def _do(command: list[str], folder: Path, lock: int) -> None:
    """Run a program to its end; `GuestError` with its last line."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(),
            pass_fds=(lock,),
            start_new_session=True,
        )
        try:
            code = process.wait(INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = -signal.SIGKILL
    if code != 0:
        lines = log.read_text(errors="replace").strip().splitlines()
        said = "".join(each for each in lines[-1] if each.isprintable()) if lines else ""
        raise GuestError(
            f"the release could not be installed: {Path(command[0]).name} ended with {code}: "
            f"{said[:MOST_SAID]}"
        )
