"""F5: a function is killed before or after a single effect, hangs until its timeout, runs twice."""

from __future__ import annotations

from simulator.aws.lambda_ import Container, Event, Fate, Function
from simulator.effects import Effect
from simulator.faults.base import Fault

EFFECTS_AN_INVOCATION = 6
"""About so many effects an invocation has: the strength is a share of invocations."""
HANG_SHARE = 0.1
HANG_SECONDS = 60.0


class Crash(Fault):
    id = "F5"
    title = "function crash"
    range = (0.0, 0.1)

    def install(self) -> None:
        self.on = True
        self.world.region.effects.hooks.append(self)
        self.world.decisions.all.append(self._decide)

    def heal(self) -> None:
        self.on = False
        self.world.region.effects.hooks.remove(self)
        self.world.decisions.all.remove(self._decide)

    def before(self, effect: Effect) -> None:
        self._strike(effect, "before")

    def after(self, effect: Effect) -> None:
        self._strike(effect, "after")

    def _strike(self, effect: Effect, when: str) -> None:
        if not isinstance(effect.owner, Container):
            return
        if not self.hits(self.strength / EFFECTS_AN_INVOCATION / 2):
            return
        kernel = self.world.kernel
        running = kernel.current
        assert running is not None, "an effect of a handler has a coroutine"
        where = f"{effect.scope} {when} {effect.service} {effect.call}"
        if self.stream.random() < HANG_SHARE:
            self.inject(f"{where}: hangs")
            kernel.sleep(HANG_SECONDS)
        else:
            self.inject(f"{where}: killed")
            self.world.region.lambda_.crash(running)

    def _decide(self, function: Function, event: Event, source: str) -> Fate | None:
        """Run at the same time twice; an HTTP request is never repeated by the service."""
        if source == "http" or not self.hits(self.strength / 2):
            return None
        self.inject(f"{function.name} runs twice")
        return Fate.TWICE
