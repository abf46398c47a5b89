"""Changing what a tenant may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pynamodb.exceptions import UpdateError

from chalicelib.errors import Unavailable
from chalicelib.store.base import condition_failed
from chalicelib.store.models import Quota
from chalicelib.store.quotas import get_quota, limits_of

RACE_ATTEMPTS: Final = 4


def set_limits(tenant_id: str, wanted: Mapping[str, int]) -> dict[str, int]:
    """Set some limits, keep the others; returns all that are in force.

    Clause: the limits are as they were read (two administrators at once).
    """
    for _ in range(RACE_ATTEMPTS):
        row = get_quota(tenant_id)
        before = row.limits
        unchanged = Quota.limits == before if before is not None else Quota.limits.does_not_exist()
        try:
            row.update([Quota.limits.set({**(before or {}), **wanted})], condition=unchanged)
        except UpdateError as error:
            if condition_failed(error):
                continue
            raise
        return {name: int(limit) for name, limit in limits_of(row).items()}
    raise Unavailable("The quotas are being changed by others at the moment; try again.")
