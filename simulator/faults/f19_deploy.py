"""F19: two versions of the code live at the same time. There is one version so far."""

from __future__ import annotations

from simulator.faults.base import Fault


class Deploy(Fault):
    id = "F19"
    title = "deploy"
    range = (0.0, 1.0)
    chance = 0.1
    reached = False
    reason = "there is no former release whose items or definitions could still be in the tables"
