"""F21: tenants and operators in each other's way: the workload does it, this says how much."""

from __future__ import annotations

from simulator.faults.base import Fault


class Tenants(Fault):
    """Deletes while creating, the same request twice, forced deletes, quotas below their use."""

    id = "F21"
    title = "tenants and operators"
    range = (0.0, 1.0)
    unit = "share of the requests"
    fair = True

    def install(self) -> None:
        self.on = True
        self.workload.racing = self.strength

    def heal(self) -> None:
        self.on = False
        self.workload.racing = 0.0
