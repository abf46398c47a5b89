"""What the emulators cannot show of DynamoDB: time, lag, conflicts, limits, pages, memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from chalicelib.store.models import ServiceStatusRow
from simulator.aws.dynamodb.account import Chances
from simulator.aws.dynamodb.parser import RESERVED
from simulator.aws.dynamodb.service import DynamoDB
from simulator.aws.dynamodb.tables import Key
from tests.simulator.aws.requests import PLAIN, SORTED, TABLES

START = 1_800_000_000.0


class Odd(Chances):
    """Chances that a test sets."""

    seconds_behind = 0.0
    held: Key = None
    late = 0.0

    def lag(self, table: str, index: str | None) -> float:
        return self.seconds_behind

    def conflict(self, table: str, key: Key) -> bool:
        return bool(key == self.held)

    def ttl_delay(self, table: str, key: Key) -> float:
        return self.late


class World:
    """The service, its clock, and calls with less to write."""

    def __init__(self) -> None:
        self.now = START
        self.odd = Odd()
        self.service = DynamoDB(lambda: self.now, self.odd)
        self.service.most_lag_seconds = 60.0
        for table in TABLES:
            self.service.create_table(**table)

    def call(self, operation: str, **asked: Any) -> Any:
        return self.service._make_api_call(operation, asked)

    def put(self, name: str, **attributes: Any) -> None:
        self.call("PutItem", TableName=PLAIN, Item={"id": {"S": name}, **attributes})

    def get(self, name: str, **more: Any) -> Any:
        return self.call("GetItem", TableName=PLAIN, Key={"id": {"S": name}}, **more).get("Item")

    def of_kind(self, kind: str) -> list[str]:
        answer = self.call(
            "Query",
            TableName=PLAIN,
            IndexName="by-rank",
            KeyConditionExpression="kind = :k",
            ExpressionAttributeValues={":k": {"S": kind}},
        )
        return [item["id"]["S"] for item in answer["Items"]]


@pytest.fixture
def world() -> World:
    return World()


def refusal(function: Callable[[], object]) -> Any:
    with pytest.raises(ClientError) as caught:
        function()
    error: Any = caught.value
    return error.response


def ranked(kind: str, rank: int) -> dict[str, Any]:
    return {"kind": {"S": kind}, "rank": {"N": str(rank)}}


def test_an_index_shows_the_past_when_it_lags(world: World) -> None:
    world.put("one", **ranked("a", 1))
    world.now += 10
    world.put("one", **ranked("b", 1))
    world.put("two", **ranked("a", 2))
    world.now += 10
    world.call("DeleteItem", TableName=PLAIN, Key={"id": {"S": "two"}})
    assert (world.of_kind("a"), world.of_kind("b")) == ([], ["one"])
    world.odd.seconds_behind = 5.0
    assert (world.of_kind("a"), world.of_kind("b")) == (["two"], ["one"])
    world.odd.seconds_behind = 15.0
    assert (world.of_kind("a"), world.of_kind("b")) == (["one"], [])
    world.odd.seconds_behind = 25.0
    assert world.of_kind("a") == []


def test_only_a_consistent_read_sees_what_was_just_written(world: World) -> None:
    world.put("one", n={"N": "1"})
    world.now += 100
    world.put("one", n={"N": "2"})
    world.odd.seconds_behind = 3.0
    assert world.get("one")["n"] == {"N": "1"}
    assert world.get("one", ConsistentRead=True)["n"] == {"N": "2"}
    world.now += 4
    assert world.get("one")["n"] == {"N": "2"}


def test_the_past_is_forgotten(world: World) -> None:
    for number in range(100):
        world.put("one", n={"N": str(number)})
        world.now += 30
    table = world.service.tables[PLAIN]
    assert sum(len(images) for images in table._past.values()) <= 3


def test_an_index_has_no_consistent_read(world: World) -> None:
    answer = refusal(
        lambda: world.call(
            "Query",
            TableName=PLAIN,
            IndexName="by-rank",
            ConsistentRead=True,
            KeyConditionExpression="kind = :k",
            ExpressionAttributeValues={":k": {"S": "a"}},
        )
    )
    assert answer["Error"]["Code"] == "ValidationException"


def test_a_row_past_its_time_lives_until_it_is_deleted(world: World) -> None:
    world.call(
        "UpdateTimeToLive",
        TableName=PLAIN,
        TimeToLiveSpecification={"AttributeName": "expires", "Enabled": True},
    )
    world.put("one", expires={"N": str(int(START) + 10)}, **ranked("a", 1))
    world.odd.late = 3600.0
    world.now += 3600
    assert world.get("one") is not None
    world.now += 10
    assert world.of_kind("a") == []
    assert world.get("one") is None
    assert list(world.service.rows(PLAIN)) == []


def transaction(world: World, *items: Any, token: str | None = None) -> None:
    more = {"ClientRequestToken": token} if token else {}
    world.call("TransactWriteItems", TransactItems=list(items), **more)


def put_once(name: str, number: int = 1) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": PLAIN,
            "Item": {"id": {"S": name}, "n": {"N": str(number)}},
            "ConditionExpression": "attribute_not_exists(id)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def test_a_transaction_tells_why_item_by_item_and_does_nothing(world: World) -> None:
    world.put("two")
    world.odd.held = "three"
    answer = refusal(lambda: transaction(world, put_once("1"), put_once("two"), put_once("three")))
    assert answer["Error"]["Code"] == "TransactionCanceledException"
    assert [reason["Code"] for reason in answer["CancellationReasons"]] == [
        "None",
        "ConditionalCheckFailed",
        "TransactionConflict",
    ]
    assert answer["CancellationReasons"][1]["Item"] == {"id": {"S": "two"}}
    assert world.get("1") is None


def test_a_single_write_meets_a_transaction(world: World) -> None:
    world.odd.held = "one"
    answer = refusal(lambda: world.put("one"))
    assert answer["Error"]["Code"] == "TransactionConflictException"


def test_a_token_makes_a_repetition_harmless_for_ten_minutes(world: World) -> None:
    transaction(world, put_once("one"), token="t")
    transaction(world, put_once("one"), token="t")
    other = refusal(lambda: transaction(world, put_once("two"), token="t"))
    assert other["Error"]["Code"] == "IdempotentParameterMismatchException"
    world.now += 600
    answer = refusal(lambda: transaction(world, put_once("one"), token="t"))
    assert answer["Error"]["Code"] == "TransactionCanceledException"


def test_two_operations_on_one_item_are_no_transaction(world: World) -> None:
    answer = refusal(lambda: transaction(world, put_once("one"), put_once("one")))
    assert answer["Error"]["Code"] == "ValidationException"
    many = [put_once(str(number)) for number in range(101)]
    assert refusal(lambda: transaction(world, *many))["Error"]["Code"] == "ValidationException"
    transaction(world, *many[:100])


@pytest.mark.parametrize(
    "attributes",
    [
        {"a": {"S": "x" * (400 * 1024)}},
        {"kind": {"N": "1"}},
        {"kind": {"S": ""}},
        {"a": {"NS": []}},
        {"a": {"N": "one"}},
        {"a": {"N": "1" * 39}},
        {"a": {"N": "1E126"}},
        {"a": {"S": "x", "N": "1"}},
        {"a": {}},
        {"id": {"S": ""}},
        {"id": {"N": "1"}},
    ],
)
def test_an_item_that_cannot_be_kept_is_refused(world: World, attributes: dict[str, Any]) -> None:
    item = {"id": {"S": "one"}, **attributes}
    answer = refusal(lambda: world.call("PutItem", TableName=PLAIN, Item=item))
    assert answer["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "a",
        "a =",
        "a = :v )",
        "(a = :v",
        "((a = :v))",
        "a = :missing",
        "a = #missing",
        "a = a",
        "a < :v AND b",
        "unknown(a)",
        "attribute_exists(:v)",
        "a BETWEEN :v AND :w",
        "a = :v",  # :w is not used
        "a < :v AND status = :w",  # a reserved word
    ],
)
def test_a_condition_that_is_none_is_refused(world: World, condition: str) -> None:
    values = {":v": {"N": "2"}, ":w": {"N": "1"}}
    answer = refusal(
        lambda: world.call(
            "DeleteItem",
            TableName=PLAIN,
            Key={"id": {"S": "one"}},
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
        )
    )
    assert answer["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    "update",
    [
        "SET id = :v",
        "SET a = :v, a.b = :v",
        "SET a = :v SET b = :v",
        "SET map.x = :v",
        "SET a = missing",
        "SET a = missing + :v",
        "ADD text :v",
        "DELETE a :v",
        "REMOVE a = :v",
        "PUT a = :v",
        "SET kind = :v",
        "SET metrics = :v",  # a reserved word
        "SET a = Metrics",
    ],
)
def test_an_update_that_cannot_be_is_refused(world: World, update: str) -> None:
    world.put("one", text={"S": "x"}, a={"N": "1"})
    answer = refusal(
        lambda: world.call(
            "UpdateItem",
            TableName=PLAIN,
            Key={"id": {"S": "one"}},
            UpdateExpression=update,
            ExpressionAttributeValues={":v": {"N": "1"}},
        )
    )
    assert answer["Error"]["Code"] == "ValidationException"
    assert world.get("one") == {"id": {"S": "one"}, "text": {"S": "x"}, "a": {"N": "1"}}


def test_the_words_that_it_keeps_for_itself_are_the_same_everywhere() -> None:
    assert set(ReservedKeywords.get_reserved_keywords()) == RESERVED


ASKS: dict[str, dict[str, Any]] = {
    "query": {
        "TableName": SORTED,
        "KeyConditionExpression": "id = :i",
        "ExpressionAttributeValues": {":i": {"S": "one"}},
    },
    "index": {
        "TableName": SORTED,
        "IndexName": "by-kind",
        "KeyConditionExpression": "kind = :i",
        "ExpressionAttributeValues": {":i": {"S": "one"}},
    },
    "scan": {"TableName": SORTED},
}


@pytest.mark.parametrize("ask", sorted(ASKS))
@pytest.mark.parametrize("forward", [True, False])
@given(
    numbers=st.lists(st.integers(-20, 20), unique=True, max_size=20),
    limit=st.integers(1, 7),
)
def test_pages_of_any_size_are_the_whole(
    ask: str, forward: bool, numbers: list[int], limit: int
) -> None:
    world = World()
    for number in numbers:
        key = {"id": {"S": "one"}, "number": {"N": str(number)}, "kind": {"S": "one"}}
        world.call("PutItem", TableName=SORTED, Item=key)
    operation = "Scan" if ask == "scan" else "Query"
    asked = ASKS[ask] | ({} if ask == "scan" else {"ScanIndexForward": forward})
    found: list[Any] = []
    start: dict[str, Any] = {}
    while True:
        page = world.call(operation, **asked, **start, Limit=limit)
        assert len(page["Items"]) <= limit
        found += [int(item["number"]["N"]) for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        assert len(page["Items"]) == limit
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    expected = sorted(numbers, reverse=not forward and ask == "query")
    assert (found if ask == "query" else sorted(found)) == expected


def test_a_page_ends_at_one_mib(world: World) -> None:
    for number in range(6):
        item = {"id": {"S": "one"}, "number": {"N": str(number)}, "a": {"S": "x" * 300_000}}
        world.call("PutItem", TableName=SORTED, Item=item)
    page = world.call("Query", **ASKS["query"])
    assert len(page["Items"]) == 4
    assert page["LastEvaluatedKey"] == {"id": {"S": "one"}, "number": {"N": "3"}}


def test_units_are_counted_as_they_are_billed(world: World) -> None:
    world.put("one", a={"S": "x" * 1500})
    assert world.service.write_units == {PLAIN: 2}
    world.get("one")
    world.get("one", ConsistentRead=True)
    assert world.service.read_units == {PLAIN: 1.5}
    transaction(world, put_once("two"))
    assert world.service.write_units == {PLAIN: 4}


def test_a_row_of_a_guest_is_small() -> None:
    service = DynamoDB(lambda: START)
    service.create_tables([ServiceStatusRow])
    name = ServiceStatusRow.Meta.table_name

    def put(number: int) -> None:
        wire = {
            "instance_id": {"S": f"{number:08d}-1111-4222-a333-444455556666"},
            "status": {"S": "healthy"},
            **{each: {"N": "1"} for each in ("generation", "epoch", "rejected", "stale_reports")},
            "seq": {"N": str(number)},
            "updated": {"N": "1800000000.125"},
            "volume_used": {"N": "0.25"},
            "volume_total": {"N": "1.96"},
        }
        service._make_api_call("PutItem", {"TableName": name, "Item": wire})

    put(0)
    gc.collect()
    tracemalloc.start()
    for number in range(1, 2001):
        put(number)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown / 2000 < 1024
