"""Times at which something is away: a share of the run's time, in bursts."""

from __future__ import annotations

from collections.abc import Callable

from simulator.faults.base import Fault


class Bursts:
    """One burst after another, of so many seconds each, while a fault is on.

    A fault's strength is the share of the time. `begin` says in words what is away from now on,
    `end` is called when it is no more, and once before the first.
    """

    def __init__(
        self,
        fault: Fault,
        seconds: tuple[float, float],
        begin: Callable[[], str],
        end: Callable[[], None],
    ) -> None:
        self._fault = fault
        self._seconds = seconds
        self._begin = begin
        self._end = end

    def pause(self) -> None:
        """End a burst, and have another one later."""
        fault = self._fault
        self._end()
        if fault.on and fault.strength:
            burst = sum(self._seconds) / 2
            pause = fault.later(burst / fault.strength - burst + 1.0)
            fault.world.kernel.call_later(pause, self._burst)

    def _burst(self) -> None:
        fault = self._fault
        if not fault.on:
            return
        what = self._begin()
        seconds = fault.stream.uniform(*self._seconds)
        fault.world.note(fault.id, f"{what} for {seconds:.0f} s")
        fault.world.lane(fault.id, seconds)
        fault.world.kernel.call_later(seconds, self.pause)
