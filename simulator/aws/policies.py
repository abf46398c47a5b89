"""IAM policies, as far as a guest's credentials need them: actions and resources with wildcards."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, NamedTuple


class Statement(NamedTuple):
    """One statement; a condition is not read, and a statement that has one is refused."""

    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def covers(self, action: str, resource: str) -> bool:
        """Whether it speaks of this action on this resource."""
        action = action.lower()
        return any(_fits(action, each.lower()) for each in self.actions) and any(
            _fits(resource, each) for each in self.resources
        )


def _fits(name: str, pattern: str) -> bool:
    """Whether a name is of a pattern; most patterns are names."""
    if "*" in pattern or "?" in pattern:
        return fnmatchcase(name, pattern)
    return name == pattern


Policy = tuple[Statement, ...]


def parsed(document: Mapping[str, Any]) -> Policy:
    """The statements of a policy document; ValueError for one that is not understood."""
    statements = document["Statement"]
    if isinstance(statements, Mapping):
        statements = [statements]
    return tuple(_statement(each) for each in statements)


def _statement(each: Mapping[str, Any]) -> Statement:
    unknown = set(each) - {"Sid", "Effect", "Action", "Resource"}
    if unknown or each.get("Effect") not in ("Allow", "Deny"):
        raise ValueError(f"a policy statement is not understood: {sorted(unknown)}")
    return Statement(each["Effect"] == "Allow", _texts(each["Action"]), _texts(each["Resource"]))


def _texts(value: Any) -> tuple[str, ...]:
    return _shared((value,) if isinstance(value, str) else tuple(value))


@lru_cache(maxsize=1024)
def _shared(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Equal lists are kept once: thousands of guests have the same ones."""
    return texts


def allows(policy: Policy, action: str, resource: str) -> bool:
    """Whether a policy allows an action: some statement does and none denies it."""
    covering = [each.allow for each in policy if each.covers(action, resource)]
    return bool(covering) and all(covering)
