"""Query and Scan: a key condition over a table or an index, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from zlib import crc32

from simulator.aws.dynamodb.account import Account
from simulator.aws.dynamodb.plans import KeyClause, Plan
from simulator.aws.dynamodb.tables import Entry, Index, Key, Table, bounds
from simulator.aws.dynamodb.values import (
    Invalid,
    Item,
    item_size,
    kind_of,
    plain_item,
    wire_item,
)

PAGE_BYTES: Final = 1024 * 1024


def query(account: Account, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The items of one partition, in the order of the sort key."""
    table = account.table(asked["TableName"], "Query")
    index = _index(table, asked)
    plan, values = account.plans.of(asked)
    if plan.key is None:
        raise Invalid(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified "
            "in the request."
        )
    partition, sort = _clauses(plan.key, table, index, values)
    now, lag = account.now(), _lag(account, table, index, asked)
    value = values[partition.bounds[0]]
    forward = asked.get("ScanIndexForward", True) is not False
    keys = _ordered(table, index, value, sort, values, now, lag)
    keys = _after(keys, _start(table, index, asked), forward)
    return _page(account, asked, table, index, plan, values, keys, lag)


def _ordered(
    table: Table,
    index: Index | None,
    value: Any,
    sort: KeyClause | None,
    values: Mapping[str, Any],
    now: float,
    lag: float,
) -> list[Entry]:
    if index is None:
        present = table.image(value, now, lag) is not None
        return [(0, value)] if present else []
    entries = table.partition(index, value, now, lag)
    if sort is None:
        return entries
    start, end = bounds(entries, sort.operator, [values[name] for name in sort.bounds])
    return entries[start:end]


def _after(entries: list[Entry], start: Entry | None, forward: bool) -> list[Key]:
    if start is not None:
        entries = [entry for entry in entries if (entry > start if forward else entry < start)]
    return [key for _, key in (entries if forward else reversed(entries))]


def scan(account: Account, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Every item, in an order that means nothing."""
    table = account.table(asked["TableName"], "Scan")
    index = _index(table, asked) if asked.get("IndexName") else None
    plan, values = account.plans.of(asked)
    lag = _lag(account, table, index, asked)
    keys: Iterable[Key] = table.everything(index, account.now(), lag)
    segments = asked.get("TotalSegments")
    if segments:
        segment = asked["Segment"]
        keys = (key for key in keys if crc32(repr(key).encode()) % segments == segment)
    start = _start(table, index, asked)
    if start is not None:
        place = table.scan_order(start[1])
        keys = (key for key in keys if table.scan_order(key) > place)
    return _page(account, asked, table, index, plan, values, keys, lag)


def _page(
    account: Account,
    asked: Mapping[str, Any],
    table: Table,
    index: Index | None,
    plan: Plan,
    values: Mapping[str, Any],
    keys: Iterable[Key],
    lag: float,
) -> dict[str, Any]:
    """Read until the limit or the page is full; a full page names its last key."""
    limit, now = asked.get("Limit"), account.now()
    if limit is not None and limit < 1:
        raise Invalid(f"Value '{limit}' at 'limit' failed to satisfy constraint: at least 1")
    found: list[Item] = []
    scanned = size = 0
    last: tuple[Key, Item] | None = None
    for key in list(keys):
        item = table.image(key, now, lag)
        if item is None:
            continue
        shown = item if index is None else index.image(item)
        scanned += 1
        size += item_size(shown)
        if plan.filter is None or plan.filter(shown, values):
            found.append(shown)
        if scanned == limit or size >= PAGE_BYTES:
            last = key, item
            break
    account.count_read(table.name, size, bool(asked.get("ConsistentRead")))
    answer: dict[str, Any] = {"Count": len(found), "ScannedCount": scanned}
    if asked.get("Select") != "COUNT":
        project = plan.projection
        answer["Items"] = [wire_item(project(each) if project else each) for each in found]
    if last is not None:
        names = dict.fromkeys((*(index.schema.names if index else ()), *table.schema.names))
        answer["LastEvaluatedKey"] = wire_item({name: last[1][name] for name in names})
    return answer


def _index(table: Table, asked: Mapping[str, Any]) -> Index | None:
    """The index that is asked for; without a name the table's own order, if it has one."""
    name = asked.get("IndexName")
    if not name:
        return table.own
    if name not in table.indexes:
        raise Invalid(f"The table does not have the specified index: {name}")
    if asked.get("ConsistentRead"):
        raise Invalid("Consistent reads are not supported on global secondary indexes")
    index = table.indexes[name]
    if asked.get("Select") == "ALL_ATTRIBUTES" and index.attributes is not None:
        raise Invalid(
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not "
            f"supported for global secondary index {name} because its projection type is not ALL"
        )
    return index


def _lag(account: Account, table: Table, index: Index | None, asked: Mapping[str, Any]) -> float:
    consistent = bool(asked.get("ConsistentRead"))
    return account.lag_of(table.name, index.name if index else None, consistent)


def _clauses(
    clauses: tuple[KeyClause, ...], table: Table, index: Index | None, values: Mapping[str, Any]
) -> tuple[KeyClause, KeyClause | None]:
    """The clause of the partition key and that of the sort key, if there is one."""
    schema = index.schema if index else table.schema
    by_name = {clause.name: clause for clause in clauses}
    partition = by_name.pop(schema.partition, None)
    if partition is None:
        raise Invalid(f"Query condition missed key schema element: {schema.partition}")
    if partition.operator != "=":
        raise Invalid("Query key condition not supported")
    sort = by_name.pop(schema.sort, None) if schema.sort else None
    if by_name:
        raise Invalid(
            f"Query condition missed key schema element: {schema.sort}"
            if schema.sort
            else "Query key condition not supported"
        )
    for clause in (partition, sort):
        for placeholder in clause.bounds if clause else ():
            if clause and kind_of(values[placeholder]) != schema.kinds[clause.name]:
                raise Invalid(
                    "One or more parameter values were invalid: "
                    "Condition parameter type does not match schema type"
                )
    return partition, sort


def _start(table: Table, index: Index | None, asked: Mapping[str, Any]) -> Entry | None:
    """The place behind which the page begins."""
    wire = asked.get("ExclusiveStartKey")
    if not wire:
        return None
    item = plain_item(wire)
    expected = {*table.schema.names, *(index.schema.names if index else ())}
    if item.keys() != expected:
        raise Invalid("The provided starting key is invalid")
    key = table.key_in(item)
    place = index.place(item, key) if index else (key, (0, key))
    assert place is not None, "the names were compared"
    return place[1]
