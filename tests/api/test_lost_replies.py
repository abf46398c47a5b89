"""A transaction that nobody answers: 503, never 500, and the same request again does it once."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from chalicelib import aws
from chalicelib.lifecycle import Status
from chalicelib.store.operations import PARTITIONS
from tests.api.client import Api
from tests.api.conftest import Make, operations

BODY = {
    "instance": {
        "name": "shop",
        "flavorRef": "1",
        "volume": {"size": 1},
        "datastore": {"type": "mariadb", "version": "10.11"},
    }
}


@pytest.fixture(
    params=[
        (ReadTimeoutError, True),
        (ConnectionClosedError, True),
        (EndpointConnectionError, False),
    ],
    ids=["no answer", "closed", "unheard"],
)
def arrives(request: pytest.FixtureRequest, api: Api, monkeypatch: pytest.MonkeyPatch) -> bool:
    """The next transaction is not answered; whether it took effect all the same."""
    error, applied = request.param
    client = aws.client("dynamodb")
    real = client._make_api_call
    lost: list[str] = []

    def call(operation: str, kwargs: dict[str, Any]) -> Any:
        if operation != "TransactWriteItems" or lost:
            return real(operation, kwargs)
        lost.append(operation)
        if applied:
            real(operation, kwargs)
        raise error(endpoint_url="dynamodb")

    monkeypatch.setattr(client, "_make_api_call", call)
    return bool(applied)


def test_a_create_is_503_and_what_took_effect_is_durable(
    api: Api, hints: list[str], arrives: bool
) -> None:
    answer = api.post("/instances", BODY)
    assert answer.status == 503
    assert "try again" in answer.fault()
    found = api.get("/instances").body["instances"]
    assert [row["status"] for row in found] == ["BUILD"] * arrives
    assert hints == []
    for row in found:
        (operation,) = operations(row["id"])
        assert (operation.status, operation.live in PARTITIONS) == ("ACCEPTED", True)


def test_a_delete_is_503_and_the_second_one_finds_the_first(
    api: Api, make: Make, hints: list[str], arrives: bool
) -> None:
    row = make()
    assert api.delete(f"/instances/{row.id}").status == 503
    assert len(operations(row.id)) == arrives
    assert api.delete(f"/instances/{row.id}").status == 202
    (operation,) = operations(row.id)
    assert operation.status == "ACCEPTED"
    assert api.get(f"/instances/{row.id}").body["instance"]["status"] == "SHUTDOWN"
    assert hints == ([] if arrives else [operation.id])


def test_a_forced_delete_is_503_and_the_second_one_ends_it(
    api: Api, make: Make, arrives: bool
) -> None:
    row = make(Status.ERROR)
    for status in (503, 202):
        assert api.post(f"/instances/{row.id}/action", {"force_delete": {}}).status == status
    assert len(operations(row.id)) == 1
    assert api.get(f"/instances/{row.id}").body["instance"]["status"] == "SHUTDOWN"
