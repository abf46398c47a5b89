"""The kernel: one heap of events, a virtual clock, coroutines that can die, and a trace.

A handler runs in a coroutine (a greenlet) and gives up control at every effect, so that any two
interleave and any can die there. Everything random comes from one seed, by named streams, so that
drawing in one subsystem does not move another. The trace is a running hash of what happened.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

import greenlet

START: Final = 1_800_000_000.0
"""Virtual time zero, in seconds since the epoch."""
MOST_AT_ONCE: Final = 1_000_000
"""Events at one moment; a fleet of 100,000 that comes back at once makes fewer."""


class Coroutine:
    """One run of a handler or an agent. `owner` groups those that die together (a server)."""

    __slots__ = ("ended", "error", "killed", "name", "on_end", "owner", "result", "thread")

    thread: greenlet.greenlet

    def __init__(self, name: str, owner: object) -> None:
        self.name = name
        self.owner = owner
        self.killed = False
        self.ended = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.on_end: Callable[[Coroutine], None] | None = None

    def is_over(self) -> bool:
        """Whether it will never run again."""
        return self.ended or self.killed


class Deadlock(Exception):
    """The bound on events was reached: something goes round without end."""


class Kernel:
    """Virtual time and what runs in it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = START
        self.events = 0
        self.current: Coroutine | None = None
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._instant = 0
        self._streams: dict[str, random.Random] = {}
        self._hub = greenlet.getcurrent()
        self._held: dict[Coroutine, None] = {}
        """Those that have not ended: dropping a greenlet would run its `finally` blocks, and a
        crash must not."""
        self._over = False
        self._turning = False
        self._until, self._most = START, math.inf
        """How far the events that run now may go: a time, and how many have happened by then."""
        self._trace = hashlib.sha256()

    # ------------------------------------------------------------------ time and chance

    def stream(self, name: str) -> random.Random:
        """The random stream of a subsystem: the same for the same seed and name."""
        found = self._streams.get(name)
        if found is None:
            digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
            found = self._streams[name] = random.Random(digest)
        return found

    def call_at(self, when: float, function: Callable[..., None], *args: Any) -> None:
        """Call a function at a virtual time (now, when that has passed)."""
        self._order += 1
        heappush(self._heap, (max(when, self.now), self._order, function, args))

    def call_later(self, seconds: float, function: Callable[..., None], *args: Any) -> None:
        """Call a function after that many virtual seconds."""
        self._order += 1
        heappush(self._heap, (self.now + max(seconds, 0.0), self._order, function, args))

    def run(self, until: float, most_events: int | None = None) -> None:
        """Run events in their order up to a virtual time, which is then the time it is."""
        heap = self._heap
        bound = None if most_events is None else self.events + most_events
        assert not self._turning, "only a coroutine can give up control"
        self._turning = True
        self._until, self._most = until, math.inf if bound is None else bound
        try:
            while heap and heap[0][0] <= until:
                when, _, function, args = heappop(heap)
                if when > self.now:
                    self.now, self._instant = when, self.events
                self.events += 1
                if self.events - self._instant > MOST_AT_ONCE:
                    raise Deadlock(f"time stands still at {when - START:.3f} s")
                if bound is not None and self.events > bound:
                    raise Deadlock(f"more than {most_events} events before {until - START:.0f} s")
                function(*args)
        finally:
            self._turning = False
        self.now = max(self.now, until)

    def pending(self) -> int:
        """How many events wait."""
        return len(self._heap)

    # ---------------------------------------------------------------------- coroutines

    def spawn(
        self,
        function: Callable[[], Any],
        name: str,
        owner: object = None,
        on_end: Callable[[Coroutine], None] | None = None,
    ) -> Coroutine:
        """Begin a coroutine now; `on_end` is called in the hub when it returns or raises."""
        coroutine = Coroutine(name, owner)

        def body() -> None:
            try:
                coroutine.result = function()
            except Exception as error:  # noqa: BLE001 - whoever spawned it looks at the error
                coroutine.error = error
            coroutine.ended = True
            self._held.pop(coroutine, None)

        coroutine.thread = greenlet.greenlet(body, parent=self._hub)
        coroutine.on_end = on_end
        self._held[coroutine] = None
        self.call_at(self.now, self._resume, coroutine)
        return coroutine

    def sleep(self, seconds: float) -> None:
        """Give up control for that long. From outside of everything, let that much time pass."""
        if self.current is None:
            self.run(self.now + max(seconds, 0.0))
            return
        if not self._is_alone(seconds):
            self.call_later(seconds, self._resume, self.current)
            self._give_up_control()

    def _is_alone(self, seconds: float) -> bool:
        """Whether nothing else happens before a coroutine that sleeps so long goes on: then time
        has passed already, as the same one event, without the way to the hub and back."""
        when, heap = self.now + seconds, self._heap
        if when <= self.now or when > self._until or (heap and heap[0][0] <= when):
            return False
        if self._over or self.events >= self._most:
            return False
        self.now, self._instant = when, self.events
        self._order += 1
        self.events += 1
        return True

    def suspend(self) -> Coroutine:
        """Give up control until somebody calls `wake` with the returned coroutine."""
        coroutine = self._running()
        self._give_up_control()
        return coroutine

    def wake(self, coroutine: Coroutine, after: float = 0.0) -> None:
        """Let a suspended coroutine go on; a dead or ended one stays as it is."""
        self.call_later(after, self._resume, coroutine)

    def kill(self, coroutine: Coroutine) -> None:
        """Let a coroutine die where it is: it is held, never resumed, and cleans nothing up."""
        if coroutine.is_over():
            return
        coroutine.killed = True
        if coroutine is self.current:
            self._give_up_control()

    def close(self) -> None:
        """End what has not ended, when nobody looks at this world any more: nothing happens again.

        The garbage collector can't look into a suspended greenlet, so each would keep for good
        whatever its frames refer to, which is the world.
        """
        self._over = True
        self._heap.clear()
        while self._held:
            coroutine, _ = self._held.popitem()
            before, self.current = self.current, coroutine
            coroutine.thread.throw(greenlet.GreenletExit)
            self.current = before

    def _give_up_control(self) -> None:
        if self._over:  # in a `finally` block of what is being ended
            raise greenlet.GreenletExit
        self._hub.switch()

    def _running(self) -> Coroutine:
        assert self.current is not None, "only a coroutine can give up control"
        return self.current

    def _resume(self, coroutine: Coroutine) -> None:
        if coroutine.is_over():
            return
        before, self.current = self.current, coroutine
        try:
            coroutine.thread.switch()
        finally:
            self.current = before
        if coroutine.ended and not coroutine.killed and coroutine.on_end is not None:
            coroutine.on_end(coroutine)

    # --------------------------------------------------------------------------- trace

    def trace(self, *what: object) -> None:
        """Add an event to the trace."""
        self._trace.update(f"{self.now:.6f} {' '.join(map(str, what))}\n".encode())

    @property
    def trace_hash(self) -> str:
        """The hash of everything traced so far."""
        return self._trace.hexdigest()
