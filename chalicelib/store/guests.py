"""Enrolled guests: the public key that speaks for a generation of an instance."""

from __future__ import annotations

from chalicelib.store.models import Guest


def forget(instance_id: str, generation: int) -> None:
    """Remove a guest's key; one that never enrolled is fine. It can renew nothing afterwards."""
    Guest(instance_id, generation).delete()
