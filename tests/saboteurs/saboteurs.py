"""All deliberate bugs: what each does to which shipped function, and which plan shows it."""

from __future__ import annotations

from tests.saboteurs import (
    agents,
    archived,
    backed_up,
    cancels,
    configured,
    flows,
    guests,
    keys,
    listing,
    messages,
    releases,
    replaced,
    restored,
    rows,
    scheduled,
    steps,
    traces,
    upgraded,
)
from tests.saboteurs.registry import SABOTEURS, Saboteur

PARTS = (
    *(steps, flows, rows, messages, guests, keys, replaced, upgraded, agents),
    *(configured, backed_up, scheduled, archived, restored),
    *(releases, cancels, listing, traces),
)
"""The modules that register them, by subject."""

__all__ = ["PARTS", "SABOTEURS", "Saboteur"]
