"""I6: nothing of one tenant is ever read or changed for another."""

from __future__ import annotations

import re
from typing import Final

from chalicelib.bus.envelope import BadSeal
from chalicelib.conductor import data_keys
from chalicelib.conductor.data_keys import Kind, Owner
from chalicelib.errors import Unavailable
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange

_ID: Final = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TABLES: Final = ("instances", "operations", "commands")
_KEPT_KEYS: Final = {"backups": Kind.BACKUP, "archives": Kind.LOG}
_NOBODY: Final = "another-project"


class Tenants(Invariant):
    """Looks for ids of other tenants in each reply, for writes to their rows by the API, and for
    keys of what they keep that would open in somebody else's row."""

    id = "I6"
    title = "Nothing of one tenant is ever read or changed for another"

    def watch(self) -> None:
        self._operations: dict[str, str] = {}
        self.hub.on_reply(self._replied)
        for table in _TABLES:
            self.hub.on_write(table, self._written)

    def _replied(self, exchange: Exchange) -> None:
        if exchange.tenant is None or exchange.admin or not exchange.reply.body:
            return
        self.exercised += 1
        asked = _without_filters(exchange.path) + exchange.body
        for found in dict.fromkeys(_ID.findall(exchange.reply.body)):
            name = found.decode()
            owner = self.hub.tenants.get(name) or self._operations.get(name)
            if owner not in (None, exchange.tenant) and found not in asked:
                self.broken(f"{exchange.tenant} was told of {name} of {owner}", name)
        if exchange.reply.status < 300:
            self._reached(exchange)

    def _reached(self, exchange: Exchange) -> None:
        """A request that names another tenant's instance must not succeed."""
        for found in _ID.findall(_without_filters(exchange.path)):
            owner = self.hub.tenants.get(found.decode())
            if owner not in (None, exchange.tenant):
                text = f"{exchange.method} of {exchange.tenant} on an instance of {owner} succeeded"
                self.broken(text, found.decode())

    def _written(self, old: Item | None, new: Item | None) -> None:
        row = new or old or {}
        if "action" in row:
            self._operations[row["id"]] = row["tenant_id"]
        caller = self.hub.api_caller()
        if caller is None or caller[0] is None or caller[1]:
            return
        self.exercised += 1
        instance_id = str(row.get("instance_id") or row["id"])
        owner = row.get("tenant_id") or self.hub.tenants.get(instance_id)
        if owner not in (None, caller[0]):
            self.broken(f"a request of {caller[0]} changed a row of {owner}", instance_id)

    def check_healed(self) -> None:
        for table, kind in _KEPT_KEYS.items():
            for row in self.hub.rows(table):
                if row.get("sealed_key") is None:
                    continue
                self.exercised += 1
                try:
                    data_keys.opened(Owner(kind, _NOBODY, row["id"]), row["sealed_key"])
                except (BadSeal, Unavailable):
                    continue
                text = f"the key of {kind} {row['id']} opens in a row of another project"
                self.broken(text, row["instance_id"])


def _without_filters(path: str) -> bytes:
    """What is asked for: a filter by another's id finds nothing, and tells nothing of it."""
    return path.partition("?")[0].encode()
