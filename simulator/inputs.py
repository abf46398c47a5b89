"""What a plan is made of, as data: everything else about plans is in `plan.py`.

It stands apart since a world is made of it; `plan.py` reads the registry of the faults, which are
given a world.
"""

from __future__ import annotations

from typing import Final

import msgspec

SETTLE_SECONDS: Final = 3 * 3600.0
"""The published bound: so long after the last fault everything must have come to its end.

A create may take 30 minutes, its undoing 10 for each of 4 removals, a delete the same, and a dead
execution is found by the sweeper and begun again up to 5 times.
"""


DATASTORE: Final = "mariadb"
"""The one of a plan that names none."""
DATASTORES: Final = (DATASTORE, "postgresql", "redis")


class Workload(msgspec.Struct, forbid_unknown_fields=True):
    """What tenants and operators do. `mix` are weights of the actions in `mix.USUAL_MIX`."""

    operations_per_guest_hour: float = 1.0
    guests_per_tenant: int = 5
    mix: dict[str, float] = {}
    at_once: int = 1
    """Requests come so many at the same moment; as many in an hour as without."""
    most_in_a_list: int = 3
    """Lists of users and databases in bodies have at most so many members."""
    schedule: dict[str, int] = {}
    """What each guest that is there from the begin is backed up by; empty: by nothing."""
    limits: dict[str, int] = {}
    """Limits of each tenant's quota from the begin, where they are not the usual ones."""


class Outage(msgspec.Struct, forbid_unknown_fields=True):
    """A service that is gone for a while (F20), from so many minutes after the begin."""

    service: str
    at_minutes: float
    minutes: float


class Plan(msgspec.Struct, forbid_unknown_fields=True):
    """All inputs of a run. Strengths of faults are in the ranges of `simulation.md`."""

    scenario: str = "unnamed"
    title: str = ""
    guests: int = 10
    hours: float = 1.0
    seed: int = 1
    prepared: bool = True
    """Whether the guests are there from the begin, or the workload has to create them."""
    leftovers: bool = False
    """Whether instances that were deleted days ago have left things, each of another kind."""
    heartbeat_seconds: int = 60
    datastores: dict[str, float] = {}
    """How often each is chosen beside the others; empty: MariaDB alone."""
    workload: Workload = msgspec.field(default_factory=Workload)
    faults: dict[str, float] = {}
    swarm: bool = False
    """Draw the faults that are not named from the seed."""
    extremes: bool = False
    """Draw from the seed what is carried to an extreme (`extremes.py`)."""
    kms: bool = False
    """Whether the key in KMS seals the keys of backups, in the place of the ring."""
    batch: int = 0
    """Functions are handed at most so many messages at a time; 0: as the template says."""
    outages: list[Outage] = []
    settle_seconds: float = SETTLE_SECONDS
    """At most so long after the chaos; a run that is quiet before ends before."""
    empty_at_end: bool = True
    """Delete everything after the checks, and check that nothing stays behind."""
