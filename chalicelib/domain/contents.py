"""What may stand inside a database server: by the rules of its engine, and by what all share."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from chalicelib import engines
from chalicelib.engines.engine import Rules
from chalicelib.errors import BadRequest


def rules_of(manager: str) -> Rules:
    """The rules of the engine that a manager runs; what breaks one is a `BadRequest`."""
    return engines.ENGINES[manager].rules(BadRequest)


def require_distinct(keys: Iterable[tuple[str, ...]], message: str) -> None:
    """Refuse a list in which two items share their key."""
    known: set[tuple[str, ...]] = set()
    for key in keys:
        if key in known:
            raise BadRequest(message)
        known.add(key)


def require_listed(user: str, wanted: Iterable[str], databases: Collection[str]) -> None:
    """Refuse an initial user with access to a database that is not in the initial list."""
    for name in wanted:
        if name not in databases:
            raise BadRequest(
                f"The request indicates that user {user} should have access to database {name}, "
                f"but database {name} is not included in the initial databases list."
            )
