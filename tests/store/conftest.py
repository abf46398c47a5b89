"""The stores' tests run twice: on the tables in memory, and on moto as the oracle for them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chalicelib.store.models import TABLES
from tests.support.bare import World


@functools.cache
def moto_client() -> Any:
    return boto3.client("dynamodb", region_name="us-east-1")


@pytest.fixture(params=["memory", "moto"])
def world(plain_world: World, request: pytest.FixtureRequest) -> Iterator[World]:
    """Empty tables of either kind."""
    world = plain_world
    if request.param == "memory":
        yield world
        return
    with mock_aws():
        world.use_dynamodb(moto_client())
        for table in TABLES:
            table.create_table(billing_mode="PAY_PER_REQUEST")
        world.log.clear()
        yield world
