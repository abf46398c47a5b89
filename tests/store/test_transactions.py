"""One transaction: a conflict is retried under the same token, everything else is told apart."""

from __future__ import annotations

from typing import Any

import pytest
from pynamodb.exceptions import TransactWriteError

from chalicelib.store import instances
from chalicelib.store.base import TRANSACTION_ATTEMPTS, ConditionFailed, Contended, transact
from chalicelib.store.models import Instance
from simulator.aws.errors import client_error
from tests.support.rows import TENANT, accepted, new_instance
from tests.support.world import World

CANCELLED = "TransactionCanceledException"


class Contentious:
    """A client whose transactions are refused a number of times; it remembers their tokens."""

    _request_signer = None

    def __init__(self, client: Any, times: int, code: str, reason: str = "") -> None:
        self.client, self.times, self.code, self.reason = client, times, code, reason
        self.tokens: list[str] = []

    def _make_api_call(self, operation: str, kwargs: dict[str, Any]) -> Any:
        if operation != "TransactWriteItems":
            return self.client._make_api_call(operation, kwargs)
        self.tokens.append(kwargs["ClientRequestToken"])
        if len(self.tokens) > self.times:
            return self.client._make_api_call(operation, kwargs)
        reasons = [{"Code": "None"}, {"Code": self.reason, "Message": ""}]
        more: dict[str, Any] = {"CancellationReasons": reasons} if self.reason else {}
        raise client_error(self.code, operation, **more)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (CANCELLED, "TransactionConflict"),
        (CANCELLED, "ThrottlingError"),
        (CANCELLED, "ProvisionedThroughputExceeded"),
        ("TransactionInProgressException", ""),
    ],
)
def test_a_conflict_is_retried_under_the_same_token(world: World, code: str, reason: str) -> None:
    client = world.dynamodb = Contentious(world.dynamodb, 3, code, reason)
    instance, _ = accepted()
    assert instances.get_instance(instance.id, TENANT).status == "BUILD"
    assert len(client.tokens) == 4
    assert len(set(client.tokens)) == 1
    assert world.sleeps == sorted(world.sleeps)
    assert sum(world.sleeps) < 5


def test_a_conflict_that_does_not_end_is_answered_as_busy(world: World) -> None:
    client = world.dynamodb = Contentious(world.dynamodb, 99, CANCELLED, "TransactionConflict")
    with pytest.raises(Contended) as caught:
        accepted()
    assert caught.value.status == 503
    assert len(client.tokens) == TRANSACTION_ATTEMPTS


def test_any_other_refusal_is_raised_at_once(world: World) -> None:
    client = world.dynamodb = Contentious(world.dynamodb, 1, "ValidationException")
    with pytest.raises(TransactWriteError):
        accepted()
    assert len(client.tokens) == 1


def test_a_clause_that_does_not_hold_is_told_at_once(world: World) -> None:
    row = new_instance()
    row.held = {}
    row.save()
    with pytest.raises(ConditionFailed) as caught:
        transact(lambda write: write.save(row, condition=Instance.id.does_not_exist()))
    assert caught.value.failed == (0,)
    assert world.sleeps == []


def test_two_transactions_have_two_tokens(world: World) -> None:
    client = world.dynamodb = Contentious(world.dynamodb, 0, CANCELLED)
    accepted()
    accepted()
    assert len(set(client.tokens)) == 2
