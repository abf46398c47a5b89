"""Quota rows: reading them, and the clauses that keep the counters exact under races."""

from __future__ import annotations

from collections.abc import Mapping

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.domain.quotas import RESOURCES, UNLIMITED
from chalicelib.settings import settings
from chalicelib.store.models import Quota


def default_limits() -> dict[str, int]:
    """The limits of a tenant without limits of its own; -1 is unlimited."""
    chosen = settings()
    return {
        "instances": chosen.quota_instances,
        "ram": chosen.quota_ram_mb,
        "volumes": chosen.quota_volumes,
        "backups": chosen.quota_backups,
    }


def get_quota(tenant_id: str) -> Quota:
    """The tenant's row, read consistently; an empty one when it has none yet."""
    try:
        return Quota.get(tenant_id, consistent_read=True)
    except Quota.DoesNotExist:
        return Quota(tenant_id)


def limits_of(quota: Quota) -> dict[str, int]:
    """The limits in force for the row."""
    return default_limits() | (quota.limits or {})


def used_of(quota: Quota) -> dict[str, int]:
    """What the tenant uses, by resource."""
    return {resource: int(getattr(quota, resource)) for resource in RESOURCES}


def reserve(write: TransactWrite, quota: Quota, delta: Mapping[str, int]) -> None:
    """Add to the counters. Clauses: each still fits (two creates at once), limits unchanged."""
    limits = limits_of(quota)
    own = quota.limits
    clause = Quota.limits.does_not_exist() if own is None else Quota.limits == own
    actions: list[Action] = []
    for resource, amount in delta.items():
        counter = getattr(Quota, resource)
        actions.append(counter.add(amount))
        if limits[resource] != UNLIMITED:
            room = limits[resource] - amount
            fits: Condition = counter <= room
            clause &= (fits | counter.does_not_exist()) if room >= 0 else fits
    write.update(Quota(quota.tenant_id), actions=actions, condition=clause)


def release(write: TransactWrite, tenant_id: str, held: Mapping[str, int]) -> None:
    """Take from the counters. Clauses: they never go below zero (a second release is refused)."""
    clause = Quota.tenant_id.exists()
    actions: list[Action] = []
    for resource, amount in held.items():
        counter = getattr(Quota, resource)
        actions.append(counter.add(-amount))
        clause &= counter >= amount
    write.update(Quota(tenant_id), actions=actions, condition=clause)
