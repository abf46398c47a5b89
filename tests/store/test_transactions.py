"""One transaction: a conflict is retried under the same token, everything else is told apart."""

from __future__ import annotations

from typing import Any

import pytest
from pynamodb.exceptions import TransactWriteError

from chalicelib.store import instances
from chalicelib.store.base import CONTENDED_SECONDS, ConditionFailed, Contended, transact
from chalicelib.store.models import Instance
from simulator.aws.errors import client_error
from tests.support.bare import World
from tests.support.rows import TENANT, accepted, new_instance

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


def contentious(world: World, *how: Any) -> Contentious:
    """Stand between the store and the client of its tables."""
    made = world.clients["dynamodb"] = Contentious(world.clients["dynamodb"], *how)
    return made


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
    client = contentious(world, 3, code, reason)
    instance, _ = accepted()
    assert instances.get_instance(instance.id, TENANT).status == "BUILD"
    assert len(client.tokens) == 4
    assert len(set(client.tokens)) == 1
    assert len(world.provider.sleeps) == 3
    assert sum(world.provider.sleeps) < 1


def test_a_conflict_that_does_not_end_is_answered_as_busy(world: World) -> None:
    world.clients["dynamodb"] = Contentious(
        world.clients["dynamodb"], 999, CANCELLED, "TransactionConflict"
    )
    with pytest.raises(Contended) as caught:
        accepted()
    assert caught.value.status == 503
    assert CONTENDED_SECONDS - 2 < sum(world.provider.sleeps) <= CONTENDED_SECONDS


def test_a_create_that_meets_others_for_ten_seconds_is_accepted(world: World) -> None:
    """A tenant's two hundred at once write one row of quotas, one after the other."""
    client = world.clients["dynamodb"] = Contentious(
        world.clients["dynamodb"], 999, CANCELLED, "TransactionConflict"
    )
    start = world.now

    def others_are_done() -> None:
        if world.now > start + 10:
            client.times = 0

    world.provider.on_sleep = others_are_done
    instance, _ = accepted()
    assert instances.get_instance(instance.id, TENANT).status == "BUILD"
    assert len(client.tokens) > 10


def test_any_other_refusal_is_raised_at_once(world: World) -> None:
    client = world.clients["dynamodb"] = Contentious(
        world.clients["dynamodb"], 1, "ValidationException"
    )
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
    assert world.provider.sleeps == []


def test_two_transactions_have_two_tokens(world: World) -> None:
    client = contentious(world, 0, CANCELLED)
    accepted()
    accepted()
    assert len(set(client.tokens)) == 2
