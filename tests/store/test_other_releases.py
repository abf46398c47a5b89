"""Rows that another release has written: with less in them than ours, or with more."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import aws
from chalicelib.domain.operations import OperationStatus
from chalicelib.store import changes, instances, last_reports, limits, operations
from chalicelib.store.base import ConditionFailed, Table
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.events import Asked
from chalicelib.store.last_reports import Reported
from chalicelib.store.models import TABLES, Instance, Operation, Quota, ServiceStatusRow
from simulator.releases import ABSENT, LATER
from tests.support.bare import World
from tests.support.rows import TENANT, accepted

LATER_VALUE = {"M": {"mark": {"S": "kept"}}}
MODELS = {table.Meta.table_name.partition("-")[2]: table for table in TABLES}


def change(table: type[Table], key: str, expression: str, **values: Any) -> dict[str, Any]:
    """Update an item past the models; the item as it is then."""
    asked: dict[str, Any] = {
        "TableName": table.Meta.table_name,
        "Key": {str(table._hash_keyname): {"S": key}},
        "UpdateExpression": expression,
        "ReturnValues": "ALL_NEW",
    }
    if values:
        asked["ExpressionAttributeValues"] = {f":{each}": value for each, value in values.items()}
    answer: dict[str, Any] = aws.client("dynamodb")._make_api_call("UpdateItem", asked)[
        "Attributes"
    ]
    return answer


def is_kept(table: type[Table], key: str) -> bool:
    """Whether an attribute of a later release is still there."""
    return change(table, key, "SET touched = :t", t={"N": "1"}).get(LATER) == LATER_VALUE


def test_a_row_without_a_count_of_attempts_is_counted_once(world: World) -> None:
    _, operation = accepted()
    change(Operation, operation.id, "REMOVE attempt")
    one, two = (operations.get_operation(operation.id) for _ in range(2))
    assert one
    assert two
    assert one.attempt == 0
    operations.start_attempt(one)
    assert one.attempt == 1
    with pytest.raises(ConditionFailed):
        operations.start_attempt(two)


def test_whoever_changes_a_row_keeps_what_it_does_not_know(world: World) -> None:
    instance, operation = accepted()
    keys = {Instance: instance.id, Operation: operation.id, ServiceStatusRow: instance.id}
    for table, key in {**keys, Quota: TENANT}.items():
        change(table, key, f"SET {LATER} = :later", later=LATER_VALUE)
    row = operations.take_lease(operation.id, "volume")
    operations.release_lease(row, "volume", ended=True, resources={"volume_id": "v"})
    operations.start_attempt(row)
    changes.edit(instances.get_instance(instance.id), {"name": "other"}, Asked())
    limits.set_limits(TENANT, {"instances": 3})
    assert last_reports.write(instance.id, Reported((1, 1, 1), "healthy", 0))
    end_operation(row, Ending(OperationStatus.SUCCEEDED))
    for table, key in {**keys, Quota: TENANT}.items():
        assert is_kept(table, key), table


def test_what_an_older_release_leaves_out_has_a_default_or_may_be_null() -> None:
    for name, absent in ABSENT.items():
        known = MODELS[name].get_attributes()
        for attribute, value in absent.items():
            default = known[attribute].default
            default = default() if callable(default) else default
            assert known[attribute].null or default == value, (name, attribute)
