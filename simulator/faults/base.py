"""What a fault class is: an id, the range of its strength, and how a run switches it on and off."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # a plan names its faults without what they strike
    from simulator.workload import Workload
    from simulator.world import World


class Fault:
    """One class of `simulation.md` in one run. `strength` is within `range`.

    `chance` is how likely a swarm switches it on.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    range: ClassVar[tuple[float, float]]
    unit: ClassVar[str] = "share"
    """What a strength is: "share", "per hour" of each guest, or "hours"."""
    chance: ClassVar[float] = 0.5
    fair: ClassVar[bool] = False
    """Whether it may make nothing fail: what is accepted beside it succeeds, and in time."""
    guests_only: ClassVar[bool] = False
    """Whether it strikes guests alone: no function of ours, and nothing that one needs."""
    missing: ClassVar[str] = ""
    """Which of its forms no run exercises yet, and why."""

    def __init__(self, world: World, workload: Workload, strength: float) -> None:
        self.world = world
        self.workload = workload
        self.strength = strength
        self.stream = world.kernel.stream(f"fault {self.id}")
        self.on = False

    @property
    def passes(self) -> bool:
        """Whether it is over so soon that nothing which is accepted beside it may fail of it."""
        return self.fair

    @property
    def mended(self) -> bool:
        """Whether the shipped code is done with what it has broken, as far as it needs its time."""
        return True

    def prepare(self) -> None:
        """Set what must be set before anything is deployed."""

    def install(self) -> None:
        """Begin; `on` is true from now to `heal`."""

    def heal(self) -> None:
        """End, and repair what an operator would have to repair."""

    def hits(self, share: float | None = None) -> bool:
        """Whether chance strikes now."""
        return self.on and self.stream.random() < (self.strength if share is None else share)

    def inject(self, text: str, instance_id: str | None = None) -> None:
        """Count and note one injection."""
        self.world.inject(self.id, text, instance_id)

    def later(self, mean_seconds: float) -> float:
        """A time drawn from an exponential distribution."""
        return self.stream.expovariate(1.0 / mean_seconds)
