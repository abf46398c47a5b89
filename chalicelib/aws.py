"""The one place that touches the outside world: clients, clock, ids, randomness, waiting, threads.

Everything else in `chalicelib/`, `functions/` and the guest agent's core asks here, so that the
simulator can hand out other clients and a virtual clock to the same handlers. What a process keeps
from one invocation to the next is kept here too: it belongs to one container and dies with it.
"""

from __future__ import annotations

import os
import random as _random
import threading
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TypeVar

from chalicelib import crash

T = TypeVar("T")


class Event(Protocol):
    """What `wait` waits for; `threading.Event` is one."""

    def is_set(self) -> bool: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Task(Protocol):
    """What `spawn` returns; `threading.Thread` is one."""

    def is_alive(self) -> bool: ...
    def join(self, timeout: float | None = None) -> None: ...


class Lock(Protocol):
    """A mutual exclusion lock; `threading.Lock()` returns one."""

    def __enter__(self) -> bool: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...


class Provider:
    """The real world. The simulator installs a subclass with `install`."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._memory: dict[str, Any] = {}

    def clock(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def token_bytes(self, size: int) -> bytes:
        return os.urandom(size)

    def span_bytes(self, size: int) -> bytes:
        return os.urandom(size)

    def random(self) -> float:
        return _random.random()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def event(self) -> Event:
        return threading.Event()

    def lock(self) -> Lock:
        return threading.Lock()

    def spawn(self, function: Callable[[], None], name: str) -> Task:
        thread = threading.Thread(target=function, name=name, daemon=True)
        thread.start()
        return thread

    def memory(self) -> dict[str, Any]:
        """What this process remembers, by name; the simulator has one for each container."""
        return self._memory

    def client(self, service: str) -> Any:
        """A cached boto3 client with bounded retries, from the environment's credentials."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self.make_client(service)
            return self._clients[service]

    def make_client(self, service: str, **options: Any) -> Any:
        if service == "swift":
            from chalicelib.swift_client import SwiftClient

            return SwiftClient(**options)
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=3,
            read_timeout=options.pop("read_timeout", 10),
            retries={"mode": "standard", "total_max_attempts": 4},
            tcp_keepalive=True,
            **options.pop("config", {}),
        )
        make: Any = boto3.client
        made = make(service, config=config, **options)
        crash.watch(made.meta.events)
        return made


_provider = Provider()


def install(provider: Provider) -> Provider:
    """Replace the world, for the simulator and for tests; returns the previous one."""
    global _provider
    previous, _provider = _provider, provider
    return previous


def clock() -> float:
    """Seconds since the epoch."""
    return _provider.clock()


def monotonic() -> float:
    """Seconds on a clock that never steps back; only differences mean something."""
    return _provider.monotonic()


def new_id() -> str:
    """A random UUID in its canonical form."""
    return _provider.new_id()


def token_bytes(size: int) -> bytes:
    """`size` bytes fit for keys, nonces and passwords."""
    return _provider.token_bytes(size)


def span_bytes(size: int) -> bytes:
    """`size` random bytes for the id of a trace or a span: nothing that happens depends on them."""
    return _provider.span_bytes(size)


def random() -> float:
    """A float in [0, 1) for jitter."""
    return _provider.random()


def sleep(seconds: float) -> None:
    """Do nothing for that long."""
    _provider.sleep(seconds)


def event() -> Event:
    """A new event, not set."""
    return _provider.event()


def lock() -> Lock:
    """A new lock, free."""
    return _provider.lock()


def wait(waited_for: Event, seconds: float) -> bool:
    """Wait for an event at most that long; true when it is set."""
    return waited_for.wait(seconds)


def spawn(function: Callable[[], None], name: str) -> Task:
    """Run a function beside the caller."""
    return _provider.spawn(function, name)


def remembered(name: str, make: Callable[[], T]) -> T:
    """What this container keeps under a name, made at the first call; `forget` ends it.

    The only state that outlives an invocation: whoever keeps something says here how it ages.
    """
    memory = _provider.memory()
    if name not in memory:
        memory[name] = make()
    kept: T = memory[name]
    return kept


def forget(name: str) -> None:
    """Let this container make that anew at the next call."""
    _provider.memory().pop(name, None)


def client(service: str) -> Any:
    """The shared client of an AWS service ("sqs", "dynamodb", …)."""
    return _provider.client(service)


def make_client(service: str, **options: Any) -> Any:
    """A client of its own, e.g. with a guest's short-lived credentials."""
    return _provider.make_client(service, **options)
