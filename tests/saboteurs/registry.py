"""What a saboteur is, the list of all, and what their patches are made of."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import pytest


class Patch:
    """Puts a bug in the place of shipped code, and sees that it fits there.

    What is not called as its original is would end in a `TypeError`: another bug than the one that
    is meant, which other invariants notice, or none.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def setattr(self, target: Any, name: str, value: Any) -> None:
        """Replace an attribute that is there."""
        _check_fit(name, getattr(target, name), value)
        self._monkeypatch.setattr(target, name, value)

    def setitem(self, mapping: Mapping[Any, Any], key: Any, value: Any) -> None:
        """Replace an item that is there."""
        _check_fit(key, mapping[key], value)
        self._monkeypatch.setitem(mapping, key, value)


def _check_fit(name: object, original: Any, value: Any) -> None:
    """See that a replacement takes all arguments of its original; `TypeError` when it does not."""
    if isinstance(value, Instead):
        for each, instead in value.instead.items():
            _check_fit(each, getattr(original, each), instead)
    elif inspect.isfunction(original) and callable(value):
        given = inspect.signature(original).parameters.values()
        by_place = [each for each in given if each.kind in _BY_PLACE]
        by_name = {each.name: None for each in given if each.kind is inspect.Parameter.KEYWORD_ONLY}
        try:
            inspect.signature(value).bind(*by_place, **by_name)
        except TypeError as error:
            raise TypeError(f"the bug in the place of {name} does not fit it: {error}") from None


_BY_PLACE: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


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
        self.instead = instead

    def __getattr__(self, name: str) -> Any:
        return self.instead[name] if name in self.instead else getattr(self._module, name)


def nothing(*_: Any, **__: Any) -> list[Any]:
    """What a look answers that finds nothing."""
    return []
