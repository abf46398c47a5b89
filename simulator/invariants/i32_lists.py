"""I32: a list has what was asked for, all of it, in the order that was asked for."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from chalicelib.status import RESTART_REQUIRED, Status
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange

_BACKUPS: Final = re.compile(r"/v1\.0/[^/]+/(?:instances/([^/?]+)/)?backups(?:\?(.*))?")
_LIST: Final = re.compile(r"/v1\.0/[^/]+/instances(?:/detail)?(?:\?(.*))?")


class Lists(Invariant):
    """Compares each list of a tenant's instances or backups with the filters and the order in its
    query, and with the rows that have not changed of late."""

    id = "I32"
    title = "A list has what was asked for, all of it, in the order that was asked for"

    def watch(self) -> None:
        self._changed: dict[str, float] = {}
        self._of: dict[str, dict[str, None]] = {}
        """The instances of each tenant that were ever there."""
        for row in self.hub.rows("instances"):
            self._written(None, row)
        self._backups_of: dict[str, dict[str, None]] = {}
        for row in self.hub.rows("backups"):
            self._backup_written(None, row)
        self.hub.on_write("instances", self._written)
        self.hub.on_write("backups", self._backup_written)
        self.hub.on_reply(self._replied)

    def _written(self, _: Item | None, new: Item | None) -> None:
        if new is None:
            return
        self._changed[new["id"]] = self.hub.run.kernel.now
        self._of.setdefault(new["tenant_id"], {})[new["id"]] = None

    def _backup_written(self, _: Item | None, new: Item | None) -> None:
        if new is None:
            return
        self._changed[new["id"]] = self.hub.run.kernel.now
        self._backups_of.setdefault(new["tenant_id"], {})[new["id"]] = None

    def _replied(self, exchange: Exchange) -> None:
        of_backups = _BACKUPS.fullmatch(exchange.path)
        if of_backups is not None:
            self._backups_replied(exchange, of_backups[1], dict(parse_qsl(of_backups[2] or "")))
        found = _LIST.fullmatch(exchange.path)
        if exchange.method != "GET" or exchange.reply.status != 200 or found is None:
            return
        if exchange.tenant is None or exchange.admin or self.hub.restoring:
            return
        self.exercised += 1
        query, document = dict(parse_qsl(found[1] or "")), exchange.reply.document
        shown: list[dict[str, Any]] = document.get("instances", [])  # I13 asks for it
        self._in_order(query, shown)
        seen = {each["id"] for each in shown}
        whole = "links" not in document and "marker" not in query
        for instance_id in self._of.get(exchange.tenant, ()):
            row = self._settled(instance_id, exchange.begun)
            if row is None:
                continue
            if instance_id in seen and not _fits(row, query):
                self.broken(f"{exchange.path} lists it", instance_id)
            elif whole and instance_id not in seen and _fits(row, query):
                self.broken(f"{exchange.path} does not list it", instance_id)

    def _backups_replied(
        self, exchange: Exchange, instance_id: str | None, query: dict[str, str]
    ) -> None:
        """Newest first; of one instance, or of all."""
        if exchange.method != "GET" or exchange.reply.status != 200 or exchange.tenant is None:
            return
        if exchange.admin or self.hub.restoring:
            return
        self.exercised += 1
        instance_id = instance_id or query.get("instance_id")
        document = exchange.reply.document
        shown: list[str] = [each["id"] for each in document.get("backups", [])]
        rows = [row for each in shown if (row := self.hub.row("backups", each)) is not None]
        created = [float(row["created"]) for row in rows]
        if created != sorted(created, reverse=True):
            self.broken(f"{exchange.path} is not in the order of time: {shown}", instance_id)
        for row in rows:
            if instance_id not in (None, row["instance_id"]):
                self.broken(f"{exchange.path} lists {row['id']}", row["instance_id"])
        if "links" in document or "marker" in query:
            return
        for backup_id in self._backups_of.get(exchange.tenant, ()):
            there = self._settled(backup_id, exchange.begun, "backups")
            if there is None or "index_tenant" not in there or backup_id in shown:
                continue
            if instance_id in (None, there["instance_id"]):
                self.broken(f"{exchange.path} does not list {backup_id}", there["instance_id"])

    def _in_order(self, query: dict[str, str], shown: list[dict[str, Any]]) -> None:
        key = query.get("sort_key", "id")
        values = [each[key] for each in shown if key in each]
        if values != sorted(values, reverse=query.get("sort_dir") == "desc"):
            self.broken(f"a list by {key} has the order {values}")

    def _settled(self, row_id: str, begun: float, table: str = "instances") -> Item | None:
        """The row of an instance or a backup that has not changed for long before a request."""
        at = max(self._changed[row_id], self.hub.restored_at)
        return self.hub.row(table, row_id) if at < begun - self.hub.lag else None


def _fits(row: Item, query: dict[str, str]) -> bool:
    """Whether the instance is there and is what the query asks for."""
    tags = set(filter(None, query.get("tags", "").split(",")))
    return (
        "index_tenant" in row
        and query.get("name") in (None, row["name"])
        and query.get("status") in (None, _shown_status(row))
        and query.get("datastore") in (None, row["datastore_name"])
        and tags <= (row["tags"].members if row.get("tags") else set())
    )


def _shown_status(row: Item) -> str:
    """What waits for a start is told as that."""
    waits = row.get("restart_required") or row.get("log_waits")
    return RESTART_REQUIRED if waits and row["status"] == Status.ACTIVE else row["status"]
