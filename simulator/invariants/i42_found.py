"""I42: what is there is found by whose it is and by operators, and what is gone is not."""

from __future__ import annotations

import re
from typing import Final

from chalicelib.lifecycle import Status
from chalicelib.status import BackupStatus, ConfigurationStatus
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange

GONE: Final = frozenset({Status.DELETED, ConfigurationStatus.DELETED, BackupStatus.DELETED})
TABLES: Final = {
    "instances": "instances",
    "configurations": "configurations",
    "backups": "backups",
    "backup_schedules": "backup-schedules",
}
"""Of each kind of thing, by the first word of its path."""
_THING: Final = re.compile(rf"/v1\.0/[^/]+/({'|'.join(TABLES)})/([0-9a-f-]{{36}})(?:\?.*)?")


class Found(Invariant):
    """Compares what is answered about one thing with its row, where that has not changed of late.

    Only requests about the thing itself: below it, and in a body, more may be missing.
    """

    id = "I42"
    title = "What is there is found by whose it is and by operators, and what is gone is not"

    def watch(self) -> None:
        self._changed: dict[tuple[str, str], float] = {}
        for table in TABLES.values():
            for row in self.hub.rows(table):
                self._changed[table, row["id"]] = self.hub.run.kernel.now
            self._watch(table)
        self.hub.on_reply(self._replied)

    def _watch(self, table: str) -> None:
        def written(old: Item | None, new: Item | None) -> None:
            row = new or old
            if row is not None and (new is None or _is_there(new) != _is_there(old)):
                self._changed[table, row["id"]] = self.hub.run.kernel.now

        self.hub.on_write(table, written)

    def _replied(self, exchange: Exchange) -> None:
        found = _THING.fullmatch(exchange.path)
        if found is None or exchange.tenant is None or exchange.replayed or self.hub.restoring:
            return
        table, thing = TABLES[found[1]], found[2]
        changed = self._changed.get((table, thing), 0.0)
        if max(changed, self.hub.restored_at) >= exchange.begun - self.hub.lag:
            return
        row = self.hub.row(table, thing)
        own = exchange.admin or row is None or row["tenant_id"] == exchange.tenant
        missing = exchange.reply.status == 404 and thing.encode() in exchange.reply.body
        if missing and own and _is_there(row):
            self.exercised += 1
            self.broken(f"{exchange.method} {exchange.path} did not find it", thing)
        elif exchange.reply.status == 200 and exchange.method == "GET":
            self.exercised += 1
            if not _is_there(row):
                self.broken(f"{exchange.method} {exchange.path} found it", thing)


def _is_there(row: Item | None) -> bool:
    return row is not None and row.get("status") not in GONE
