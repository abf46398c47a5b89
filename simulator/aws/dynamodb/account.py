"""One account's tables, and what each call on them needs: a plan, its write, and its price."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from simulator.aws.dynamodb.plans import Plan, Plans
from simulator.aws.dynamodb.tables import Key, Table
from simulator.aws.dynamodb.values import Invalid, Item, item_size, plain_item
from simulator.aws.errors import client_error

Watch = Callable[[str, Item | None, Item | None], None]
Lost = Mapping[str, Mapping[Key, Item]]
"""By table: the items that a restore to an earlier moment does not know."""

WRITE_UNIT_BYTES: Final = 1024
READ_UNIT_BYTES: Final = 4096
TOKEN_SECONDS: Final = 600
"""How long a client request token makes a repetition harmless."""


class Chances:
    """What a run decides for the service; by default nothing odd happens."""

    def lag(self, table: str, index: str | None) -> float:
        """How many seconds an eventually consistent read is behind (at most `most_lag_seconds`)."""
        return 0.0

    def conflict(self, table: str, key: Key) -> bool:
        """Whether another transaction holds the item at this moment."""
        return False

    def unprocessed(self, table: str, key: Key) -> bool:
        """Whether a batch leaves this key to the caller."""
        return False

    def ttl_delay(self, table: str, key: Key) -> float:
        """How long an item outlives its time to live: seconds, the same for each ask."""
        return 0.0


class ConditionFailed(Exception):
    """The condition of a write does not hold for `item`."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("The conditional request failed")
        self.item = item


class Write:
    """A write that is ready to be applied: what was, and what will be of `size` bytes."""

    __slots__ = ("key", "new", "old", "plan", "size", "table")

    def __init__(
        self, table: Table, key: Key, old: Item | None, new: Item | None, plan: Plan, size: int
    ) -> None:
        self.table = table
        self.key = key
        self.old = old
        self.new = new
        self.plan = plan
        self.size = size


class Tokens:
    """The client request tokens of the transactions that succeeded lately."""

    def __init__(self) -> None:
        self._seen: dict[str, bytes] = {}
        self._order: deque[tuple[float, str]] = deque()

    def find(self, token: str, now: float) -> bytes | None:
        """The fingerprint of what was written under a token."""
        while self._order and self._order[0][0] <= now - TOKEN_SECONDS:
            del self._seen[self._order.popleft()[1]]
        return self._seen.get(token)

    def add(self, token: str, fingerprint: bytes, now: float) -> None:
        """Remember a transaction that succeeded."""
        self._seen[token] = fingerprint
        self._order.append((now, token))


class Account:
    """The tables, the chances of the run, and the bill. `now` is the virtual clock."""

    def __init__(self, now: Callable[[], float], chances: Chances | None = None) -> None:
        self.now = now
        self.chances = chances or Chances()
        self.tables: dict[str, Table] = {}
        self.watchers: list[Watch] = []
        self.restored: list[Callable[[Lost], None]] = []
        """Who keeps sums of tables has to look again when some were restored."""
        self.read_units: defaultdict[str, float] = defaultdict(float)
        self.write_units: Counter[str] = Counter()
        self.most_lag_seconds = 0.0
        """How long the past is kept; set it before anything is written, if reads are to lag."""
        self.plans = Plans()
        self.tokens = Tokens()

    def rows(self, table: str) -> Iterator[Item]:
        """The plain items of a table, one after the other, for checks; not a call."""
        return iter(self.tables[table].items.values())

    def row(self, table: str, key: Key) -> Item | None:
        """The plain item of a key, for checks; not a call."""
        item: Item | None = self.tables[table].items.get(key)
        return item

    def table(self, name: str, operation: str) -> Table:
        """The table of a request."""
        found = self.tables.get(name)
        if found is None:
            raise client_error(
                "ResourceNotFoundException", operation, "Requested resource not found"
            )
        return found

    def lag_of(self, table: str, index: str | None, consistent: bool) -> float:
        """How far behind this read is."""
        if consistent or not self.most_lag_seconds:
            return 0.0
        return min(self.chances.lag(table, index), self.most_lag_seconds)

    def commit(self, write: Write) -> None:
        """Apply a write that was prepared in this same moment."""
        table = write.table
        table.write(write.key, write.old, write.new, self.now())
        for watch in self.watchers:
            watch(table.name, write.old, write.new)

    def restore(self, snapshots: Mapping[str, Mapping[Key, Item]]) -> Lost:
        """Put tables back to an earlier moment, under their own names; answers what they lack then.

        There is no write, so no watcher is told: what jumps is not judged as a change.
        """
        lost = {}
        for name, snapshot in snapshots.items():
            table = self.tables[name]
            lost[name] = {k: each for k, each in table.items.items() if k not in snapshot}
            table.restore(snapshot, self.now())
        for look in self.restored:
            look(lost)
        return lost

    def count_read(self, table: str, size: int, consistent: bool) -> None:
        """Add to the read units of a table."""
        units = max(1, math.ceil(size / READ_UNIT_BYTES))
        self.read_units[table] += units if consistent else units / 2

    def count_write(self, write: Write, factor: int = 1) -> None:
        """Add to the write units of a table: the larger of both images counts."""
        size = max(item_size(write.old or {}), write.size)
        self.write_units[write.table.name] += factor * max(1, -(-size // WRITE_UNIT_BYTES))

    def prepare(self, kind: str, asked: Mapping[str, Any], operation: str) -> Write:
        """Check a write and compute its result: kind is Put, Update, Delete or ConditionCheck."""
        table = self.table(asked["TableName"], operation)
        plan, values = self.plans.of(asked)
        if kind == "Put":
            new: Item | None = plain_item(asked["Item"])
            key = table.key_in(new or {})
        else:
            new = None
            key = table.key_of(asked["Key"])
            if not plan.roots.isdisjoint(table.key_names):
                name = next(name for name in table.schema.names if name in plan.roots)
                raise Invalid(
                    "One or more parameter values were invalid: Cannot update attribute "
                    f"{name}. This attribute is part of the key"
                )
        old = table.get(key, self.now())
        if plan.condition is not None and not plan.condition(old or {}, values):
            wanted = asked.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            raise ConditionFailed(old if wanted else None)
        if kind == "Update":
            new = table.key_values(key) if old is None else dict(old)
            before = old or {}
            for change in plan.changes:
                change(before, new, values)
        elif kind == "ConditionCheck":
            new = old
        if new is None or kind == "ConditionCheck":
            size = item_size(new or {})
        else:
            size = table.checked_size(new)
        return Write(table, key, old, new, plan, size)
