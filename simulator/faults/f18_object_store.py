"""F18: the object store's troubles. Backups will use it; nothing does yet."""

from __future__ import annotations

from simulator.faults.base import Fault


class ObjectStore(Fault):
    id = "F18"
    title = "object store"
    range = (0.0, 0.05)
    reached = False
    reason = "no flow uses an object store in this release"
