"""MiniStack as the local stack runs it: `python emulator.py`, in MiniStack's own environment.

MiniStack starts a process for each invocation that finds none free, and unpacks the function's
whole zip for it: thirty creates at once start sixty of them, which takes a small machine longer
than the creates. Here an invocation waits a moment for a process to be free, as it would in a
queue, a zip is unpacked once, and a process is forked from one that has imported its libraries.

A task that waits for a token fails with the function that was to get it, as on AWS, and is tried
again; MiniStack waits on for an answer that nobody can give. What is in a path comes encoded.
"""

import hashlib
import os
import runpy
import shutil
import subprocess
import tempfile
import threading
import time
import types
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

MOST_AT_ONCE: Final = max(4, 2 * (os.cpu_count() or 1))
"""Processes of one function that start without waiting: what keeps the machine's cores busy."""
PAUSE_SECONDS: Final = 1.0
"""Between two more of them, while cores are idle: who waits for a guest holds a process without
using it."""
LONGEST_PAUSE_SECONDS: Final = 5.0
"""While none is: another process would only take its start from those that work."""
BUSY_SHARE: Final = 0.85
"""Of all cores' time; one process more would not have half a core to itself."""
LEAST_TICKS: Final = 50
"""Of all cores, each 10 ms, between two judgements: those who wait look at almost the same time."""

# (worker, "reused" or "spawn"), or (None, why) at the ceiling `max_concurrency`.
Lease = Callable[..., tuple[Any, str]]
# The id of an API and a path's parts: the resource and its parameters.
Match = Callable[[str, list[str]], tuple[Any, dict[str, str]]]


class Cores:
    """Whether the machine's cores have time to spare, from what the kernel counts (proc(5))."""

    def __init__(self, stat: Path = Path("/proc/stat")) -> None:
        self._stat = stat
        self._seen = self._counted()
        self._idle = True

    def idle(self) -> bool:
        """Whether they had some lately; also where no kernel tells."""
        busy, total = self._counted()
        passed = total - self._seen[1]
        if passed >= LEAST_TICKS:
            self._idle = (busy - self._seen[0]) / passed < BUSY_SHARE
            self._seen = busy, total
        return self._idle

    def _counted(self) -> tuple[int, int]:
        """Ticks of all cores since the boot: at work, and in all."""
        try:
            first = self._stat.read_text().splitlines()[0]
        except OSError:
            return 0, 0
        user, nice, system, idle, waiting, *rest = map(int, first.split()[1:8])
        total = user + nice + system + idle + waiting + sum(rest)
        return total - idle - waiting, total


class Pools:
    """Shares out the processes of each function."""

    def __init__(
        self,
        lease: Lease,
        give_back: Callable[[Any], None],
        most: int = MOST_AT_ONCE,
        pause: float = PAUSE_SECONDS,
        longest: float = LONGEST_PAUSE_SECONDS,
        idle: Callable[[], bool] = lambda: True,
    ) -> None:
        self._lease = lease
        self._give_back = give_back
        self._most = most
        self._pause = pause
        self._longest = longest
        self._idle = idle
        self._freed = threading.Condition()
        self._grown: dict[str, float] = {}

    def acquire(self, function: str, *args: Any, **named: Any) -> tuple[Any, str]:
        """A process of that function: a free one, one of the first few, or one more after a pause.

        It waits: whoever calls must be no invocation of the same function.
        """
        with self._freed:
            looked = time.monotonic()
            while True:
                now = time.monotonic()
                passed = now - self._grown.get(function, now)
                more = passed >= self._longest
                if not more and passed >= self._pause and now - looked >= self._pause:
                    looked, more = now, self._idle()
                ceiling = None if more else self._most
                worker, how = self._lease(function, *args, max_concurrency=ceiling, **named)
                if worker is not None:
                    if how == "spawn":
                        self._grown[function] = now
                    return worker, how
                self._freed.wait(self._pause)

    def release(self, worker: Any) -> None:
        """Give a process back: who waits may have it."""
        self._give_back(worker)
        with self._freed:
            self._freed.notify_all()  # those who wait may wait for different functions


class UnpackedOnce(zipfile.ZipFile):
    """A zip whose content is unpacked once for all; each further place gets links to it."""

    def extractall(self, path: Any = None, *_: Any, **__: Any) -> None:
        """Fill the folder `path`."""
        for entry in self._unpacked().iterdir():
            (Path(path) / entry.name).symlink_to(entry)

    def _unpacked(self) -> Path:
        """The folder with the content, complete."""
        content = Path(str(self.filename)).read_bytes()
        folder = Path(tempfile.gettempdir()) / f"unpacked-{hashlib.sha256(content).hexdigest()}"
        if not folder.exists():
            part = Path(tempfile.mkdtemp(dir=folder.parent))
            super().extractall(part)
            try:
                part.rename(folder)
            except OSError:  # another thread was first
                shutil.rmtree(part)
        return folder


def as_sent(match: Match) -> Match:
    """MiniStack's search for an API's resource, whose parameters are encoded as on AWS.

    API Gateway gives a function the parts of a path as they were sent; MiniStack decodes them.
    """

    def found(api_id: str, segments: list[str]) -> tuple[Any, dict[str, str]]:
        resource, parameters = match(api_id, segments)
        return resource, {name: quote(value, safe="") for name, value in parameters.items()}

    return found


class TokenTasks:
    """Tasks that wait for a token: they end with the failure of the function that was to get it.

    https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html: the integration
    waits once the request has succeeded.
    """

    class Failed(Exception):
        """Passes by MiniStack's own `except`."""

    def __init__(self, steps: Any) -> None:
        """`steps` is `ministack.services.stepfunctions`."""
        self._steps = steps
        self._invoke = steps._invoke_with_callback
        self._call = steps._call_lambda
        self._waiting = threading.local()

    def invoke(self, resource: str, event: Any, token: str, state: dict[str, Any]) -> Any:
        """Invoke the function and wait for its token."""
        self._waiting.yes = True
        try:
            return self._invoke(resource, event, token, state)
        except self.Failed as failed:
            self._steps._task_tokens.pop(token, None)
            raise failed.args[0] from None
        finally:
            self._waiting.yes = False

    def call(self, function: str, event: Any) -> Any:
        """Invoke the function."""
        try:
            return self._call(function, event)
        except self._steps._ExecutionError as error:
            if getattr(self._waiting, "yes", False):
                raise self.Failed(error) from error
            raise


def main() -> None:
    """Run MiniStack until it is ended."""
    runtime = import_module("ministack.core.lambda_runtime")
    # Coffer is no package of this environment.
    forks = runpy.run_path(str(Path(__file__).with_name("forks.py")))["Forks"]()
    pools = Pools(runtime.acquire_worker, runtime.release_worker, idle=Cores().idle)
    # Before the services are imported: they take these by name.
    vars(runtime).update(
        acquire_worker=pools.acquire,
        release_worker=pools.release,
        subprocess=types.SimpleNamespace(**{**vars(subprocess), "Popen": forks.popen}),
        zipfile=types.SimpleNamespace(**{**vars(zipfile), "ZipFile": UnpackedOnce}),
    )
    steps = import_module("ministack.services.stepfunctions")
    tasks = TokenTasks(steps)
    vars(steps).update(_invoke_with_callback=tasks.invoke, _call_lambda=tasks.call)
    gateway = import_module("ministack.services.apigateway_v1")
    vars(gateway).update(_match_resource_tree=as_sent(gateway._match_resource_tree))
    import_module("ministack.app").main()


if __name__ == "__main__":
    main()
