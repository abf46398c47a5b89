"""The same calls to the simulated DynamoDB, to moto and to MiniStack: the same outcomes.

Where an emulator is known to be wrong, the call is judged as docs/simulator/differences.md says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from simulator.aws.dynamodb.service import DynamoDB
from tests.simulator.aws.requests import TABLES, calls

SEQUENCES = st.lists(calls(), min_size=1, max_size=12)
UNHURRIED = settings(max_examples=150, suppress_health_check=list(HealthCheck))
_numbers = itertools.count()


def outcome(client: Any, operation: str, asked: dict[str, Any]) -> Any:
    """What a call came to, in a form that can be compared."""
    try:
        answer = client._make_api_call(operation, asked)
    except ClientError as error:
        response: Any = error.response
        given_reasons = response.get("CancellationReasons", ())
        reasons = [(each["Code"], normal(each.get("Item"))) for each in given_reasons]
        return response["Error"]["Code"], reasons, normal(response.get("Item"))
    for name in ("ResponseMetadata", "ConsumedCapacity", "ItemCollectionMetrics"):
        answer.pop(name, None)
    if not answer.get("Attributes", True):
        del answer["Attributes"]  # MiniStack shows that there are none
    if operation == "Scan":
        answer["Items"].sort(key=str)
    for rows in answer.get("Responses", {}).values() if operation == "BatchGetItem" else ():
        rows.sort(key=lambda row: str(sorted(row.items(), key=str)))
    return normal(answer)


def normal(value: Any) -> Any:
    """A wire value with equal numbers spelled alike and sets in order."""
    if isinstance(value, dict):
        if value.keys() == {"N"}:
            return {"N": str(Decimal(value["N"]).normalize() + 0)}
        if value.keys() == {"NS"}:
            return {"NS": sorted(str(Decimal(each).normalize() + 0) for each in value["NS"])}
        if value.keys() == {"SS"}:
            return {"SS": sorted(value["SS"])}
        return {name: normal(each) for name, each in sorted(value.items())}
    if isinstance(value, list):
        return [normal(each) for each in value]
    return value


Known = Callable[[str, Any, Any, Any], bool]
"""Whether an emulator's outcome is a known mistake: operation, request, its outcome, ours."""


def ministack_is_wrong(operation: str, asked: Any, theirs: Any, ours: Any) -> bool:
    text = str(asked)
    if "REMOVE" in text and "ValidationE" in str(ours):
        return True  # a path whose parent is not there
    # Of an attribute that is no text.
    return bool(theirs == REFUSED and "begins_with" in text)


def moto_is_wrong(operation: str, asked: Any, theirs: Any, ours: Any) -> bool:
    if theirs == "crash" or "TypeError" in str(theirs):
        return True  # it orders values of two datatypes
    if operation == "UpdateItem" and asked["ReturnValues"].startswith("UPDATED"):
        return True  # the key is shown too; what was set to the same value is not
    if operation == "TransactWriteItems":
        return bool(theirs == REFUSED) and ("ValidationError", None) in ours[1]
    if operation == "TransactGetItems" and theirs != REFUSED:
        return "ProjectionExpression" in str(asked)  # it shows the whole item
    if "[0], " in str(asked.get("ProjectionExpression", asked.get("TransactItems"))):
        return bool(theirs == REFUSED)  # of a list's place with something behind it
    return operation == "BatchWriteItem" and bool(ours == REFUSED)  # two writes of one item


REFUSED: Final[tuple[str, list[str], None]] = ("ValidationException", [], None)


def compare(client: Any, sequence: list[tuple[str, dict[str, Any]]], wrong: Known) -> None:
    """Run a sequence on both, on fresh tables, until the emulator makes a known mistake."""
    service, suffix = DynamoDB(lambda: 1_800_000_000.0), f"-{next(_numbers)}"
    for table in TABLES:
        for each in (service, client):
            each._make_api_call("CreateTable", {**table, "TableName": table["TableName"] + suffix})
    for number, (operation, asked) in enumerate(sequence):
        renamed = with_tables(asked, suffix)
        found = outcome(service, operation, renamed)
        try:
            expected = outcome(client, operation, renamed)
        except (AttributeError, KeyError, TypeError):
            expected = "crash"
        if found != expected and wrong(operation, renamed, expected, found):
            return
        assert found == expected, (number, operation, renamed)


def with_tables(asked: Any, suffix: str) -> Any:
    """A request on the tables of this example."""
    if isinstance(asked, list):
        return [with_tables(each, suffix) for each in asked]
    if not isinstance(asked, dict):
        return asked
    changed = {name: with_tables(each, suffix) for name, each in asked.items()}
    if "TableName" in changed:
        changed["TableName"] += suffix
    if "RequestItems" in changed:
        changed["RequestItems"] = {
            name + suffix: each for name, each in changed["RequestItems"].items()
        }
    return changed


@pytest.fixture(scope="module")
def moto() -> Iterator[Any]:
    """moto's DynamoDB, with the tables of all examples."""
    with mock_aws():
        yield boto3.client("dynamodb", region_name="us-east-1")


@pytest.fixture(scope="module")
def emulated(ministack: dict[str, Any]) -> Any:
    """MiniStack's DynamoDB."""
    return boto3.client("dynamodb", **ministack)


@UNHURRIED
@given(sequence=SEQUENCES)
def test_ministack_answers_alike(emulated: Any, sequence: list[tuple[str, dict[str, Any]]]) -> None:
    compare(emulated, sequence, ministack_is_wrong)


@UNHURRIED
@given(sequence=SEQUENCES)
def test_moto_answers_alike(moto: Any, sequence: list[tuple[str, dict[str, Any]]]) -> None:
    compare(moto, sequence, moto_is_wrong)
