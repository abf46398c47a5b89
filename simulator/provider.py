"""The simulated world behind `chalicelib.aws`: virtual time, seeded ids, simulated clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chalicelib.aws import Event, Lock, Provider, Task
from simulator.aws.functions import Container
from simulator.kernel import Coroutine, Kernel


class SimEvent:
    """An event that coroutines wait for."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._set = False
        self._waiting: list[Coroutine] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        for coroutine in self._waiting:
            self._kernel.wake(coroutine)
        self._waiting.clear()

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Give up control until it is set, or the time is over (checked when woken)."""
        if self._set:
            return True
        current = self._kernel.current
        assert current is not None, "only a coroutine can wait"
        self._waiting.append(current)
        if timeout is not None:
            self._kernel.call_later(timeout, self._give_up, current)
        self._kernel.suspend()
        return self._set

    def _give_up(self, coroutine: Coroutine) -> None:
        if coroutine in self._waiting:
            self._waiting.remove(coroutine)
            self._kernel.wake(coroutine)


class SimLock:
    """A lock that is never contended: control is given up at effects only, never inside one."""

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_: object) -> None:
        return None


class SimTask:
    """What `spawn` returns under simulation."""

    def __init__(self, coroutine: Coroutine) -> None:
        self._coroutine = coroutine

    def is_alive(self) -> bool:
        return not (self._coroutine.ended or self._coroutine.killed)

    def join(self, timeout: float | None = None) -> None:
        raise NotImplementedError("nothing under simulation joins")


class SimProvider(Provider):
    """Hands out what the run simulates. `skew` is a guest's clock error in seconds, by owner."""

    def __init__(
        self,
        kernel: Kernel,
        clients: dict[str, Any],
        guest_client: Callable[[str, str, str], Any] | None = None,
    ) -> None:
        """`guest_client` makes a client for credentials: of a service, a key's id and its token."""
        super().__init__()
        self._guest_client = guest_client
        self._kernel = kernel
        self._simulated = clients
        self._ids = kernel.stream("ids")
        self._chance = kernel.stream("provider")
        self._spans = kernel.stream("spans")
        self.skew: dict[object, float] = {}

    def clock(self) -> float:
        running = self._kernel.current
        if running is not None and self.skew:
            return self._kernel.now + self.skew.get(running.owner, 0.0)
        return self._kernel.now

    def monotonic(self) -> float:
        return self._kernel.now

    def new_id(self) -> str:
        text = f"{self._ids.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    def token_bytes(self, size: int) -> bytes:
        return self._ids.randbytes(size)

    def span_bytes(self, size: int) -> bytes:
        return self._spans.randbytes(size)

    def random(self) -> float:
        return self._chance.random()

    def sleep(self, seconds: float) -> None:
        self._kernel.sleep(seconds)

    def event(self) -> Event:
        return SimEvent(self._kernel)

    def lock(self) -> Lock:
        return SimLock()

    def spawn(self, function: Callable[[], None], name: str) -> Task:
        current = self._kernel.current
        owner = current.owner if current else None
        return SimTask(self._kernel.spawn(function, name, owner))

    def memory(self) -> dict[str, Any]:
        """Each container has its own; what is set up or checked from outside shares one."""
        running = self._kernel.current
        if running is not None and isinstance(running.owner, Container):
            return running.owner.memory
        return super().memory()

    def client(self, service: str) -> Any:
        return self._simulated[service]

    def make_client(self, service: str, **options: Any) -> Any:
        if self._guest_client is not None and "aws_access_key_id" in options:
            key, token = options["aws_access_key_id"], options["aws_session_token"]
            return self._guest_client(service, key, token)
        return self._simulated[service]
