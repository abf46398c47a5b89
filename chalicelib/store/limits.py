"""Changing what a tenant may use."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.store.base import ConditionFailed, Contended, races, update_if
from chalicelib.store.models import Quota
from chalicelib.store.quotas import get_quota, limits_of


def set_limits(tenant_id: str, wanted: Mapping[str, int]) -> dict[str, int]:
    """Set some limits, keep the others; returns all that are in force.

    Clause: the limits are as they were read (two administrators at once).
    """
    for _ in races():
        row = get_quota(tenant_id)
        before = row.limits
        unchanged = Quota.limits == before if before is not None else Quota.limits.does_not_exist()
        try:
            update_if(row, [Quota.limits.set({**(before or {}), **wanted})], unchanged)
        except ConditionFailed:
            continue
        return {name: int(limit) for name, limit in limits_of(row).items()}
    raise Contended("The quotas are being changed by others at the moment; try again.")
