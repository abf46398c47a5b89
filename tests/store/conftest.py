"""The stores' tests run twice: on the tables in memory, and on moto as the oracle for them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from typing import Any, Final

import boto3
import pytest
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from chalicelib.store.models import TABLES
from tests.support.bare import World, fresh

REGION: Final = "us-east-1"


@functools.cache
def moto_client() -> Any:
    return boto3.client("dynamodb", region_name=REGION)


def backend() -> Any:
    """What moto keeps of DynamoDB while it stands for AWS."""
    return dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION]


@pytest.fixture(scope="session")
def empty_tables() -> Any:
    """moto's tables, as each test finds them: to make them takes longer than most tests."""
    with fresh() as world, mock_aws():
        world.use_dynamodb(moto_client())
        for table in TABLES:
            table.create_table(billing_mode="PAY_PER_REQUEST")
        return backend().tables


@pytest.fixture(params=["memory", "moto"])
def world(empty_tables: Any, plain_world: World, request: pytest.FixtureRequest) -> Iterator[World]:
    """Empty tables of either kind."""
    world = plain_world
    if request.param == "memory":
        yield world
        return
    with mock_aws():
        world.use_dynamodb(moto_client())
        backend().tables = copy.deepcopy(empty_tables)
        yield world
