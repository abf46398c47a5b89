"""Backup strategies: where the backups go that name no place, of a project or of an instance."""

from __future__ import annotations

from typing import Final

from simulator.actions.backups import CONTAINERS
from simulator.clients import Clients, Tenant

OF_AN_INSTANCE: Final = 0.5
"""Share of the strategies that are of one instance."""


def set_strategy(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """One of two containers, in the place of the one before; and what there is then."""
    wanted = {"swift_container": work.stream.choice(CONTAINERS)}
    if instance_id is not None and work.stream.random() < OF_AN_INSTANCE:
        wanted["instance_id"] = instance_id
    work.request(tenant, "POST", "/backup_strategies", {"backup_strategy": wanted})
    work.request(tenant, "GET", "/backup_strategies")


def drop_strategy(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Often there is none."""
    of_one = instance_id is not None and work.stream.random() < OF_AN_INSTANCE
    query = f"?instance_id={instance_id}" if of_one else ""
    work.request(tenant, "DELETE", f"/backup_strategies{query}")
