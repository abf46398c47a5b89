"""Where a table keeps its items: as tuples that share their names, a quarter of a dict's memory.

An item is a dict again when somebody reads it, and nobody can change the kept one through it.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from simulator.aws.dynamodb.values import Item


class Shelf(MutableMapping[Any, Item]):
    """Items by key, in the order in which they came."""

    __slots__ = ("_kept", "_shapes")

    def __init__(self) -> None:
        self._kept: dict[Any, tuple[Any, ...]] = {}
        """The values of each item, and its names as the last of them."""
        self._shapes: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __getitem__(self, key: Any) -> Item:
        kept = self._kept[key]
        return dict(zip(kept[-1], kept, strict=False))

    def get(self, key: Any, default: Any = None) -> Any:
        """The item of a key: without the detour over KeyError, which most reads would pay for."""
        kept = self._kept.get(key)
        return default if kept is None else dict(zip(kept[-1], kept, strict=False))

    def __setitem__(self, key: Any, item: Item) -> None:
        names = tuple(item)
        self._kept[key] = (*item.values(), self._shapes.setdefault(names, names))

    def __delitem__(self, key: Any) -> None:
        del self._kept[key]

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def __iter__(self) -> Iterator[Any]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
