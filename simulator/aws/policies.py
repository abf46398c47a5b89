"""IAM policies, as far as a guest's credentials need them: actions and resources with wildcards."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, NamedTuple

ACCOUNT: Final = "123456789012"
ALWAYS: Final = {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}
"""A condition that holds here: all there is belongs to one account."""


class Statement(NamedTuple):
    """One statement; no other condition than `ALWAYS` is understood; others are refused.

    Its actions are in small letters: IAM does not tell them apart.
    """

    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def covers(self, action: str, resource: str) -> bool:
        """Whether it speaks of this action (in small letters) on this resource."""
        return _fits(action, self.actions) and _fits(resource, self.resources)


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a name is of one of these patterns; most patterns are names."""
    return name in patterns or any(
        fnmatchcase(name, each) for each in patterns if "*" in each or "?" in each
    )


Policy = tuple[Statement, ...]


def parsed(document: Mapping[str, Any]) -> Policy:
    """The statements of a policy document; ValueError for one that is not understood."""
    statements = document["Statement"]
    if isinstance(statements, Mapping):
        statements = [statements]
    return tuple(_statement(each) for each in statements)


def _statement(each: Mapping[str, Any]) -> Statement:
    unknown = set(each) - {"Sid", "Effect", "Action", "Resource"}
    if each.get("Condition") == ALWAYS:
        unknown.discard("Condition")
    if unknown or each.get("Effect") not in ("Allow", "Deny"):
        raise ValueError(f"a policy statement is not understood: {sorted(unknown)}")
    actions = tuple(name.lower() for name in _texts(each["Action"]))
    return Statement(each["Effect"] == "Allow", _shared(actions), _shared(_texts(each["Resource"])))


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@lru_cache(maxsize=1024)
def _shared(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Equal lists are kept once: thousands of guests have the same ones."""
    return texts


class Right(NamedTuple):
    """One action of a statement on one of its resources, both as patterns."""

    action: str
    resource: str

    def fits(self, action: str, resource: str) -> bool:
        """Whether it is this right that an action on a resource needs."""
        return _fits(action.lower(), (self.action,)) and _fits(resource, (self.resource,))


@lru_cache(maxsize=64)
def rights_of(policy: Policy) -> tuple[Right, ...]:
    """All that a policy allows, apart."""
    return tuple(
        Right(action, resource)
        for each in policy
        if each.allow
        for action in each.actions
        for resource in each.resources
    )


def allows(policy: Policy, action: str, resource: str) -> bool:
    """Whether a policy allows an action: some statement does and none denies it."""
    action, allowed = action.lower(), False
    for each in policy:
        if each.covers(action, resource):
            if not each.allow:
                return False
            allowed = True
    return allowed
