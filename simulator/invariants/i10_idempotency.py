"""I10: the same idempotency key and body give the same resource and the same reply."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from chalicelib.bus.commands import CODES
from chalicelib.errors import Unavailable
from chalicelib.store.replies import KEEP_SECONDS
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange

NOT_NOW: Final = frozenset({413, *range(500, 600)})
"""What may be answered to any request: ask later."""
MISTAKEN: Final = 422
_NOTHING_DONE: Final = frozenset(
    code for code, kind in CODES.items() if issubclass(kind, Unavailable)
)

Name = tuple[str, str]
"""A project and a key."""


class _First(NamedTuple):
    """The first reply that said yes, and when it came."""

    exchange: Exchange
    at: float


class Idempotency(Invariant):
    """Compares the replies of each key with its first one, and counts what was done under it."""

    id = "I10"
    title = "The same idempotency key and body give the same reply; with another body it is refused"

    def watch(self) -> None:
        self._first: dict[Name, _First] = {}
        self._done: dict[tuple[Name, str], str] = {}
        """The latest row of each table that a request with the key has made."""
        self.hub.on_reply(self._replied)
        for table in ("operations", "commands"):
            self._watch(table)

    def _watch(self, table: str) -> None:
        def written(old: Item | None, new: Item | None) -> None:
            key, caller = self.hub.api_key(), self.hub.api_caller()
            if old is not None or new is None or key is None or caller is None or not caller[0]:
                return
            before = self._done.get(((caller[0], key), table))
            self._done[(caller[0], key), table] = new["id"]
            if before is not None and not self._may_be_done_again(table, before):
                text = f"{key} made {new['id']} in {table}, and {before} before"
                self.broken(text, new["instance_id"])

        self.hub.on_write(table, written)

    def _may_be_done_again(self, table: str, before: str) -> bool:
        """Whether a guest said of the command before that it could do nothing at that time."""
        row = self.hub.row("commands", before) if table == "commands" else None
        error: Any = json.loads(row["error"]) if row is not None and row.get("error") else {}
        return error.get("code") in _NOTHING_DONE

    def _replied(self, exchange: Exchange) -> None:
        if exchange.key is None or exchange.tenant is None:
            return
        name, now = (exchange.tenant, exchange.key), self.hub.run.kernel.now
        first = self._first.get(name)
        if first is None or now - first.at > KEEP_SECONDS:
            if exchange.reply.status < 300:
                self._first[name] = _First(exchange, now)
            return
        self.exercised += 1
        asked, before = exchange, first.exchange
        same = (asked.method, asked.path, asked.body) == (before.method, before.path, before.body)
        status = exchange.reply.status
        what = f"{exchange.method} with {exchange.key}"
        if status < 300:
            if not same:
                self.broken(f"{what} was accepted, though the key is another request's")
            elif _told(exchange) != _told(before):
                self.broken(f"{what} was answered differently than before")
        elif exchange.begun > first.at and status not in NOT_NOW and (same or status != MISTAKEN):
            self.broken(f"{what} was answered {status} after it had been accepted")


def _told(exchange: Exchange) -> tuple[int, bytes, str | None]:
    reply = exchange.reply
    return reply.status, reply.body, reply.headers.get("Location")
