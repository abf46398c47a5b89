"""What a saboteur is, the list of all, and what their patches are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest

Patch = pytest.MonkeyPatch


class Saboteur(NamedTuple):
    """A bug: a sentence on it, the plan that shows it, and who should notice."""

    apply: Callable[[Patch], None]
    plan: str
    noticed_by: frozenset[str]
    seeds: int

    @property
    def name(self) -> str:
        return self.apply.__name__.replace("_", " ")

    @property
    def sentence(self) -> str:
        return (self.apply.__doc__ or "").strip()


SABOTEURS: Final[list[Saboteur]] = []


def saboteur(plan: str, *noticed_by: str, seeds: int = 5) -> Callable[[Any], Any]:
    """Register a bug."""

    def register(apply: Callable[[Patch], None]) -> Callable[[Patch], None]:
        SABOTEURS.append(Saboteur(apply, plan, frozenset(noticed_by), seeds))
        return apply

    return register


class Instead:
    """A module with some functions replaced; the rest is looked up when it is called."""

    def __init__(self, module: Any, **instead: Any) -> None:
        self._module = module
        self.__dict__.update(instead)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def nothing(*_: Any) -> list[Any]:
    """What a look answers that finds nothing."""
    return []
