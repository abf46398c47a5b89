"""An invariant: how it tells a violation, and its verdict."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from simulator.invariants.hub import Hub, Violation

OF_ITS_OWN: Final = frozenset(
    {"I2", "I8", "I9", "I14", "I20", "I23", "I29", "I30", "I35", "L1", "L3", "L4", "L6", "L7"}
)
"""Promises that an instance loses whose guest is in somebody else's hands: its contents, its
status, its settings and what becomes of its creates are whatever that guest says."""
MOST_VIOLATIONS: Final = 20
"""So many of one invariant are told; a broken one repeats itself."""


class Invariant:
    """One promise. `exercised` counts what could have broken it: without any, no verdict."""

    id: ClassVar[str]
    title: ClassVar[str]
    unreachable: ClassVar[str] = ""
    """Why no code can exercise it yet; such an invariant is never watched."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.exercised = 0
        self.violations: list[Violation] = []
        self.more = 0

    def watch(self) -> None:
        """Subscribe to what could break it."""

    def check(self) -> None:
        """Look at everything: at intervals, and after the faults healed."""

    def check_healed(self) -> None:
        """Look at what must hold once the faults have healed."""

    def close(self) -> None:
        """Give back what was taken."""

    def broken(self, text: str, instance_id: str | None = None) -> None:
        """Record a violation, once for each text and instance; none that a guest does itself."""
        if self.id in OF_ITS_OWN and self.hub.tenants.get(instance_id or "") in self.hub.hostile:
            return
        if any(each.text == text and each.instance_id == instance_id for each in self.violations):
            return
        if len(self.violations) >= MOST_VIOLATIONS:
            self.more += 1
            return
        self.hub.run.kernel.trace("violation", self.id, instance_id, text)
        self.violations.append(Violation(self.id, self.hub.now, text, instance_id))
        self.hub.tell(self.violations[-1])

    @property
    def verdict(self) -> Literal["holds", "broken", "not reached"]:
        """What the run has shown of it."""
        if self.violations:
            return "broken"
        return "holds" if self.exercised else "not reached"

    @property
    def reason(self) -> str:
        """Why it was not reached, or how much stands behind the verdict."""
        if self.violations and self.more:
            return f"and {self.more} more"
        if self.exercised or self.violations:
            return f"looked at {self.exercised} times"
        return self.unreachable or "nothing in this run could have broken it"
