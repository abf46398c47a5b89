"""F10: a guest's clock is off by up to ten minutes, drifts, or steps."""

from __future__ import annotations

from simulator.faults.guests import GuestFault

MOST_SECONDS = 600.0
MOST_DRIFT_A_DAY = 600.0


class ClockSkew(GuestFault):
    id = "F10"
    title = "clock skew"
    range = (0.0, 1.0)
    unit = "share of the guests"
    fair = True

    def install(self) -> None:
        self.on = True
        for server_id in self.servers():
            self._arrived(server_id)
        self.follow(self._arrived)

    def _arrived(self, server_id: str) -> None:
        """Set the clock of a server that is new, perhaps."""
        if not self.hits():
            return
        fleet, kind = self.world.fleet, self.stream.choice(("off", "drifts", "steps"))
        off = self.stream.uniform(-MOST_SECONDS, MOST_SECONDS)
        instance_id = self.instance_of(server_id)
        self.inject(f"the clock of {server_id} {kind} ({off:+.0f} s)", instance_id)
        if instance_id is not None and self.world.invariants is not None:
            self.world.invariants.hub.skewed[instance_id] = None
        if kind == "drifts":
            fleet.drift(server_id, self.stream.uniform(-MOST_DRIFT_A_DAY, MOST_DRIFT_A_DAY))
        else:
            fleet.skew(server_id, off)
        if kind == "steps":
            self.world.kernel.call_later(self.later(1800.0), self._step, server_id)

    def _step(self, server_id: str) -> None:
        if self.on and server_id in self.world.fleet.guests:
            self.world.fleet.skew(server_id, self.stream.uniform(-MOST_SECONDS, MOST_SECONDS))
