"""Bugs of the guest agents: a database that nobody looks after."""

from __future__ import annotations

from chalicelib.service_status import ServiceStatus as Status
from guest_agent.keeper import Keeper
from guest_agent.manager import Condition
from simulator.fleet.manager import SimManager
from tests.saboteurs.registry import Patch, saboteur


@saboteur("dying databases", "L11")
def a_dead_database_left_dead(patch: Patch) -> None:
    """The agent reports that its database has died, and does nothing about it."""
    patch.setattr(Keeper, "look", lambda self, condition: None)


@saboteur("dying databases", "L11")
def a_dead_database_shown_as_sound(patch: Patch) -> None:
    """The agent takes a database for sound that does not run."""
    patch.setattr(SimManager, "_dead", lambda self: Condition(Status.HEALTHY))
