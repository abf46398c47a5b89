"""I10: the same idempotency key and body give the same resource and the same reply."""

from __future__ import annotations

from simulator.invariants.base import Invariant


class Idempotency(Invariant):
    """Waits for idempotency keys."""

    id = "I10"
    title = "The same idempotency key and body give the same reply; with another body it is refused"
    unreachable = "the API takes no idempotency key in this release"
