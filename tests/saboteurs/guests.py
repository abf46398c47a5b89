"""Bugs of the guest agents: a database that nobody looks after."""

from __future__ import annotations

from chalicelib.service_status import ServiceStatus as Status
from guest_agent.backups import archiver
from guest_agent.datastores.guard import Guard
from guest_agent.keeper import Keeper
from guest_agent.manager import Condition
from simulator.fleet.full import SimWrites
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


@saboteur("filling", "I37")
def a_full_volume_that_nobody_guards(patch: Patch) -> None:
    """The database takes writes until there is no room at all."""
    patch.setattr(Guard, "_turn", lambda self, server, session, room, *, full: None)


@saboteur("filled by logs", "I37")
def a_full_volume_whose_log_waits(patch: Patch) -> None:
    """While a database takes no writes, its log is neither sent nor given up."""
    patch.setattr(archiver, "_ANSWERS", frozenset({Status.HEALTHY}))


@saboteur("filling", "I37", "L7")
def writes_that_are_refused_for_good(patch: Patch) -> None:
    """Nobody tells the database that there is room again."""
    patch.setattr(SimWrites, "take_writes", lambda self, session: None)
