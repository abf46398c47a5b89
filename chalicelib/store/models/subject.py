"""What all have in common that operations are done to."""

from __future__ import annotations

from typing import ClassVar

from pynamodb.attributes import (
    JSONAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
)

from chalicelib.domain.operations import SubjectKind
from chalicelib.store.base import Table, optional


class Subject(Table):
    """What an operation is done to. `operation_id` is the one live operation, if any, and
    `next_operation_id` the one that takes it away when that has ended."""

    kind: ClassVar[SubjectKind]
    private: ClassVar[bool] = False
    """Whether its events are the administrators' alone, and in no tenant's feed."""

    id = UnicodeAttribute(hash_key=True)
    tenant_id = UnicodeAttribute()
    status = UnicodeAttribute()
    created = NumberAttribute()
    updated = NumberAttribute()
    expires = optional(TTLAttribute(null=True))

    operation_id = optional(UnicodeAttribute(null=True))
    next_operation_id = optional(UnicodeAttribute(null=True))
    held = JSONAttribute(default=dict)  # of its tenant's quota

    fault_message = optional(UnicodeAttribute(null=True))
    fault_created = optional(NumberAttribute(null=True))

    @property
    def told_to(self) -> str | None:
        """The tenant in whose feed its events are."""
        return None if self.private else self.tenant_id
