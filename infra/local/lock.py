"""One command at a time on one state folder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from infra.errors import BusyError


@contextlib.contextmanager
def exclusive(state: Path) -> Iterator[None]:
    """Hold the state folder's lock; raises BusyError at once when another command holds it."""
    state.mkdir(parents=True, exist_ok=True)
    # The database's user goes through this folder to its server's; secrets have modes of their own.
    state.chmod(0o755)
    descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = lock.read().strip() or "unknown"
            raise BusyError(
                f"Another coffer command (pid {holder}) works on {state}.",
                "Wait for it to end, or set COFFER_STATE for a second stack.",
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)
