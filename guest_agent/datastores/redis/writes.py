"""Whether a Redis takes writes: it takes none with fewer replicas than it wants, scripts' neither.

A small `maxmemory` would let customers delete, and would evict all they have where a policy for
that was chosen.
"""

from __future__ import annotations

from typing import Final

from guest_agent.datastores.redis.resp import Session

_WANTED: Final = "min-replicas-to-write"
_MORE_THAN_ANY_HAS: Final = str(2**31 - 1)


def refused(session: Session) -> bool:
    """Whether it takes none, as it says itself."""
    told = session.ask("CONFIG", "GET", _WANTED)
    return isinstance(told, list) and _MORE_THAN_ANY_HAS.encode() in told


def refuse(session: Session) -> None:
    """Let it take none."""
    session.ask("CONFIG", "SET", _WANTED, _MORE_THAN_ANY_HAS)


def take(session: Session) -> None:
    """Let it take writes again."""
    session.ask("CONFIG", "SET", _WANTED, "0")
