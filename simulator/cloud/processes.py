"""Finds and kills the processes of guests by the variable that each of them inherits.

A database that its agent started detached belongs to no process group of ours, so the environment
is the only mark that all processes of a server share.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER_VARIABLE = "COFFER_SERVER_ID"
KILL_ROUNDS = 100
ROUND_SECONDS = 0.01
STOP_ROUNDS = 500

_MARK = f"{SERVER_VARIABLE}=".encode()


def of_servers(server_ids: Collection[str]) -> list[int]:
    """The ids of the live processes whose environment names one of these servers."""
    wanted = {_MARK + server_id.encode() for server_id in server_ids}
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            environment = Path(entry.path, "environ").read_bytes()
        except OSError:
            continue  # it has ended, or is another user's and so none of ours
        if _MARK in environment and not wanted.isdisjoint(environment.split(b"\0")):
            found.append(int(entry.name))
    return found


def kill_servers(server_ids: Collection[str]) -> int:
    """Kill every process of these servers until none is left; how many were killed.

    It goes round because a process may fork between being found and being killed, and looks twice
    because one that just loads its program has no environment for that moment. Raises
    TimeoutError when some are still there after the last round.
    """
    if not server_ids:
        return 0
    killed: set[int] = set()
    seen_none = False
    for _ in range(KILL_ROUNDS):
        alive = of_servers(server_ids)
        if not alive and seen_none:
            return len(killed)
        seen_none = not alive
        for pid in alive:
            signal_process(pid, signal.SIGKILL)
        killed.update(alive)
        time.sleep(ROUND_SECONDS)
    raise TimeoutError(f"{len(of_servers(server_ids))} processes of a server could not be killed")


@contextmanager
def standing_still(server_ids: Collection[str]) -> Iterator[None]:
    """Stop every process of these servers for the block, those too that are forked meanwhile.

    Each thread of them has stopped when the block begins: the signal reaches one on another core
    a moment later. Raises TimeoutError when that is not so, or there are new ones, after the last
    round.
    """
    stopped: set[int] = set()
    seen_none = not server_ids
    try:
        for _ in range(STOP_ROUNDS):
            running = _with_children(of_servers(server_ids)) - stopped if server_ids else set()
            if not running and seen_none and all(map(_stands_still, stopped)):
                break
            if seen_none:
                time.sleep(ROUND_SECONDS)
            seen_none = not running  # one that just loads its program has no environment
            for pid in running:
                signal_process(pid, signal.SIGSTOP)
            stopped |= running
        else:
            raise TimeoutError("the processes of a server could not be stopped")
        yield
    finally:
        for pid in stopped:
            signal_process(pid, signal.SIGCONT)


def _with_children(found: Collection[int]) -> set[int]:
    """With all that descend from them: PostgreSQL's write their titles over their environment."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                parent = Path(entry.path, "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue  # it has ended
            children.setdefault(int(parent), []).append(int(entry.name))
    family, left = set(found), list(found)
    while left:
        born = [each for each in children.get(left.pop(), ()) if each not in family]
        family.update(born)
        left += born
    return family


def _stands_still(pid: int) -> bool:
    """Whether each thread of a process is stopped, or it has ended."""
    try:
        threads = [Path(each.path, "stat").read_text() for each in os.scandir(f"/proc/{pid}/task")]
    except OSError:
        return not Path(f"/proc/{pid}").exists()
    return all(text.rpartition(")")[2].split()[0] in "TtZX" for text in threads)


def signal_process(pid: int, number: signal.Signals) -> bool:
    """Send a signal; False when the process has ended already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
