"""A table: its items, its sparse indexes, and what they held a while ago.

Items are never changed in place, so the past of a table is the items themselves: a read that lags
takes the image that was there. Past its time to live an item is deleted when a call meets it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final, NamedTuple
from zlib import crc32

from simulator.aws.dynamodb.shelf import Shelf
from simulator.aws.dynamodb.values import (
    MISSING,
    MOST_ITEM_BYTES,
    Invalid,
    Item,
    item_size,
    kind_of,
    plain,
)

Key = Any
"""The partition key's value; with a sort key, the pair of both."""

Entry = tuple[Any, Key]
"""A place in an index: the sort key's value and the key of the item."""

MOST_KEY_BYTES: Final = {"HASH": 2048, "RANGE": 1024}
SHORT_KEY: Final = 256
"""A text of so many characters is below both bounds in any encoding."""
_SORT: Final = itemgetter(0)


class Schema(NamedTuple):
    """The key of a table or an index; `sort` is None without a sort key."""

    partition: str
    sort: str | None
    kinds: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        return (self.partition,) if self.sort is None else (self.partition, self.sort)


class Index:
    """Where items are by the attributes of a key; one without them is not in it."""

    __slots__ = ("attributes", "name", "partitions", "schema")

    def __init__(
        self, name: str | None, schema: Schema, attributes: tuple[str, ...] | None
    ) -> None:
        self.name = name
        self.schema = schema
        self.attributes = attributes
        """What is projected; None is everything."""
        self.partitions: dict[Any, list[Entry]] = {}

    def place(self, item: Item | None, key: Key) -> tuple[Any, Entry] | None:
        """Where an item belongs; None when it lacks an attribute of the key."""
        if item is None:
            return None
        partition = item.get(self.schema.partition, MISSING)
        sort = 0 if self.schema.sort is None else item.get(self.schema.sort, MISSING)
        if partition is MISSING or sort is MISSING:
            return None
        return partition, (sort, key)

    def move(self, key: Key, old: Item | None, new: Item | None) -> None:
        """Follow a change of an item."""
        before, after = self.place(old, key), self.place(new, key)
        if before == after:
            return
        if before is not None:
            partition = self.partitions[before[0]]
            del partition[bisect_left(partition, before[1])]
            if not partition:
                del self.partitions[before[0]]
        if after is not None:
            insort(self.partitions.setdefault(after[0], []), after[1])

    def image(self, item: Item) -> Item:
        """What the index shows of an item."""
        if self.attributes is None:
            return item
        return {name: item[name] for name in self.attributes if name in item}


class Table:
    """The items of a table by key."""

    def __init__(self, name: str, description: Mapping[str, Any]) -> None:
        self.name = name
        self.description = dict(description)
        self.schema = _schema(description["KeySchema"], description["AttributeDefinitions"])
        self.items = Shelf()
        self.own = Index(None, self.schema, None) if self.schema.sort is not None else None
        self.indexes: dict[str, Index] = {
            each["IndexName"]: _index(each, self.schema, description["AttributeDefinitions"])
            for each in description.get("GlobalSecondaryIndexes") or ()
        }
        self._moving = (*([self.own] if self.own else ()), *self.indexes.values())
        self.index_kinds = {
            name: (kind, index.name)
            for index in self.indexes.values()
            for name, kind in index.schema.kinds.items()
            if name not in self.schema.kinds
        }
        self.key_names = frozenset(self.schema.names)
        self._parts = [(name, self.schema.kinds[name]) for name in self.schema.names]
        self.ttl: str | None = None
        self.ttl_delay: Callable[[str, Key], float] = lambda table, key: 0.0
        self.most_lag_seconds = 0.0
        self._past: dict[Key, list[tuple[float, Item | None]]] = {}
        self._changes: deque[tuple[float, Key]] = deque()

    # --------------------------------------------------------------------------- restore

    def snapshot(self) -> dict[Key, Item]:
        """All items as they are, to restore the table to this moment."""
        return dict(self.items.items())

    def restore(self, snapshot: Mapping[Key, Item], now: float) -> None:
        """Put the table back to an earlier moment, under its own name. No write: nobody is told."""
        for key in list(dict.fromkeys((*self.items, *snapshot))):
            old, new = self.items.get(key), snapshot.get(key)
            if old != new:
                self.write(key, old, new, now)

    # ------------------------------------------------------------------------------ keys

    def key_of(self, wire: Mapping[str, Any]) -> Key:
        """The key in a request's `Key`."""
        if wire.keys() != self.key_names:
            raise Invalid("The provided key element does not match the schema")
        values = [self._key_value(name, kind, wire[name]) for name, kind in self._parts]
        return values[0] if len(values) == 1 else tuple(values)

    def _key_value(self, name: str, kind: str, wire: Mapping[str, Any]) -> Any:
        text = wire.get("S")
        if kind == "S" and len(wire) == 1 and type(text) is str and 0 < len(text) <= SHORT_KEY:
            return text
        value = plain(wire)
        if kind_of(value) != kind:
            raise Invalid("The provided key element does not match the schema")
        return self._checked(name, value)

    def key_in(self, item: Item) -> Key:
        """The key of an item that is put."""
        values = []
        for name, kind in self.schema.kinds.items():
            value = item.get(name, MISSING)
            if value is MISSING:
                raise Invalid(
                    f"One or more parameter values were invalid: Missing the key {name} in the item"
                )
            if kind_of(value) != kind:
                raise Invalid(
                    "One or more parameter values were invalid: "
                    f"Type mismatch for key {name} expected: {kind} actual: {kind_of(value)}"
                )
            values.append(self._checked(name, value))
        return values[0] if len(values) == 1 else tuple(values)

    def _checked(self, name: str, value: Any) -> Any:
        if type(value) in (str, bytes):
            if not value:
                raise Invalid(
                    "One or more parameter values are not valid. The AttributeValue for a key "
                    f"attribute cannot contain an empty string value. Key: {name}"
                )
            role = "HASH" if name == self.schema.partition else "RANGE"
            if len(value) * 4 > MOST_KEY_BYTES[role]:
                size = len(value if isinstance(value, bytes) else value.encode())
                if size > MOST_KEY_BYTES[role]:
                    raise Invalid(
                        "One or more parameter values were invalid: Size of "
                        f"{role.lower()}key has exceeded the maximum size limit of"
                        f"{MOST_KEY_BYTES[role]} bytes"
                    )
        return value

    def key_values(self, key: Key) -> Item:
        """The attributes of a key."""
        names = self.schema.names
        return {names[0]: key} if len(names) == 1 else dict(zip(names, key, strict=True))

    def checked_size(self, item: Item) -> int:
        """An item's bytes; refuses one too large, or with a wrong value under an index's key."""
        for name, (kind, index) in self.index_kinds.items():
            value = item.get(name, MISSING)
            if value is MISSING:
                continue
            if kind_of(value) != kind:
                raise Invalid(
                    "One or more parameter values were invalid: Type mismatch for Index Key "
                    f"{name} Expected: {kind} Actual: {kind_of(value)} IndexName: {index}"
                )
            if value in ("", b""):
                raise Invalid(
                    "One or more parameter values are not valid. A value specified for a "
                    "secondary index key is not supported. The AttributeValue for a key attribute "
                    f"cannot contain an empty string value. IndexName: {index}, IndexKey: {name}"
                )
        size = item_size(item)
        if size > MOST_ITEM_BYTES:
            raise Invalid("Item size has exceeded the maximum allowed size")
        return size

    # --------------------------------------------------------------------- reads, writes

    def get(self, key: Key, now: float) -> Item | None:
        """The item of a key as it is."""
        item: Item | None = self.items.get(key)
        if item is not None and self.ttl is not None:
            expires = item.get(self.ttl)
            if expires is not None and kind_of(expires) == "N" and expires <= now:
                return self._expired(key, item, float(expires), now)
        return item

    def _expired(self, key: Key, item: Item, expires: float, now: float) -> Item | None:
        if expires + self.ttl_delay(self.name, key) > now:
            return item
        self.write(key, item, None, now)
        return None

    def write(self, key: Key, old: Item | None, new: Item | None, now: float) -> None:
        """Replace the item that is there (`old`) by another, or by none."""
        if self.most_lag_seconds:
            self._remember(key, old, now)
        for index in self._moving:
            index.move(key, old, new)
        if new is None:
            self.items.pop(key, None)
        else:
            self.items[key] = new

    def _remember(self, key: Key, old: Item | None, now: float) -> None:
        self._changes.append((now, key))
        self._past.setdefault(key, []).append((now, old))
        while self._changes[0][0] < now - self.most_lag_seconds:
            _, forgotten = self._changes.popleft()
            images = self._past[forgotten]
            del images[0]
            if not images:
                del self._past[forgotten]

    def image(self, key: Key, now: float, lag: float) -> Item | None:
        """The item of a key as it was `lag` seconds ago."""
        if lag:
            for when, before in self._past.get(key, ()):
                if when > now - lag:
                    return before
        return self.get(key, now)

    def changed_since(self, when: float) -> dict[Key, None]:
        """The keys of what has changed after a time."""
        changed: dict[Key, None] = {}
        for at, key in reversed(self._changes):
            if at <= when:
                break
            changed[key] = None
        return changed

    # -------------------------------------------------------------------------- in order

    def partition(self, index: Index, value: Any, now: float, lag: float) -> list[Entry]:
        """The places in a partition of an index, in order, as they were `lag` seconds ago."""
        entries = index.partitions.get(value, [])
        changed = self.changed_since(now - lag) if lag else {}
        if not changed:
            return entries
        found = [entry for entry in entries if entry[1] not in changed]
        for key in changed:
            place = index.place(self.image(key, now, lag), key)
            if place is not None and place[0] == value:
                found.append(place[1])
        found.sort()
        return found

    def everything(self, index: Index | None, now: float, lag: float) -> Iterator[Key]:
        """All keys, as a scan meets them: partitions in the order of a hash of their key."""
        changed = self.changed_since(now - lag) if lag else {}
        keys = list(dict.fromkeys((*self.items, *changed)))
        images = ((key, self.image(key, now, lag)) for key in keys)
        found = [key for key, item in images if item and (not index or index.place(item, key))]
        found.sort(key=self.scan_order)
        return iter(found)

    def scan_order(self, key: Key) -> tuple[int, Any]:
        """Where a scan meets a key."""
        partition = key if self.schema.sort is None else key[0]
        return crc32(repr(partition).encode()), key


def bounds(entries: list[Entry], operator: str, values: list[Any]) -> tuple[int, int]:
    """The part of ordered entries whose sort key fulfils a condition."""
    first = values[0]
    if operator == "begins_with":
        size = len(first)
        start = bisect_left(entries, first, key=_SORT)
        return start, bisect_right(entries, first, lo=start, key=lambda entry: entry[0][:size])
    if operator == "BETWEEN":
        return (
            bisect_left(entries, first, key=_SORT),
            bisect_right(entries, values[1], key=_SORT),
        )
    left, right = bisect_left(entries, first, key=_SORT), bisect_right(entries, first, key=_SORT)
    whole = len(entries)
    return {
        "=": (left, right),
        "<": (0, left),
        "<=": (0, right),
        ">": (right, whole),
        ">=": (left, whole),
    }[operator]


def _schema(keys: list[dict[str, str]], definitions: list[dict[str, str]]) -> Schema:
    kinds = {each["AttributeName"]: each["AttributeType"] for each in definitions}
    roles = {each["KeyType"]: each["AttributeName"] for each in keys}
    names = [roles[role] for role in ("HASH", "RANGE") if role in roles]
    return Schema(roles["HASH"], roles.get("RANGE"), {name: kinds[name] for name in names})


def _index(described: Mapping[str, Any], table: Schema, definitions: list[dict[str, str]]) -> Index:
    schema = _schema(described["KeySchema"], definitions)
    projection = described.get("Projection") or {}
    attributes: tuple[str, ...] | None = None
    if projection.get("ProjectionType", "ALL") != "ALL":
        names = (*table.names, *schema.names, *(projection.get("NonKeyAttributes") or ()))
        attributes = tuple(dict.fromkeys(names))
    return Index(described["IndexName"], schema, attributes)
