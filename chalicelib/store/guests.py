"""Enrolled guests: the public key that speaks for a generation of an instance."""

from __future__ import annotations

from chalicelib.store.models import Guest


def find(instance_id: str, generation: int) -> Guest | None:
    """The enrolled guest of a generation, read consistently, or None."""
    try:
        return Guest.get(instance_id, generation, consistent_read=True)
    except Guest.DoesNotExist:
        return None


def forget(instance_id: str, generation: int) -> None:
    """Remove a guest's key; one that never enrolled is fine. It can renew nothing afterwards."""
    Guest(instance_id, generation).delete()
