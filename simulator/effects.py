"""The one place that every call of a simulated client passes: latency, faults, counting.

A call is an effect: it leaves the process. Around it the coroutine gives up control, and the hooks
of the run may let it die, refuse it, or lose its reply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from simulator.kernel import Kernel

T = TypeVar("T")

LATENCY_SECONDS: Final = 0.004


class Effect:
    """One call, as hooks see it: `what` are its arguments, by the client's names."""

    __slots__ = ("call", "owner", "scope", "service", "what")

    def __init__(
        self, service: str, call: str, scope: str, owner: object, what: dict[str, Any]
    ) -> None:
        self.service = service
        self.call = call
        self.scope = scope
        self.owner = owner
        self.what = what


class Hook(Protocol):
    """What a fault does around an effect; each may raise the service's error or kill the caller."""

    def before(self, effect: Effect) -> None:
        """The call has not reached the service: an error raised here means nothing happened."""

    def after(self, effect: Effect) -> None:
        """The call took effect: an error raised here loses the reply."""


class Effects:
    """Counts every call by (scope, service, call) and lets the hooks act on it."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.hooks: list[Hook] = []
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self._latency = kernel.stream("latency")

    def perform(self, service: str, call: str, function: Callable[[], T], **what: Any) -> T:
        """Make one call. Outside a coroutine (setting up, checking) it is made directly."""
        running = self.kernel.current
        if running is None:
            return function()
        self.calls[running.name, service, call] += 1
        effect = Effect(service, call, running.name, running.owner, what)
        for hook in self.hooks:
            hook.before(effect)
        self.kernel.sleep(LATENCY_SECONDS * (0.5 + self._latency.random()))
        result = function()
        for hook in self.hooks:
            hook.after(effect)
        return result
