"""A reply that never came is no answer of DynamoDB: whoever asks again meets its own write.

botocore sends a transaction again with the same client request token, and so does `transact` after
a conflict: both are answered as if it were the first time. When nobody answers at all, the caller
is told to come back, and its second try finds what the first one did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from pynamodb.exceptions import PutError, TransactWriteError

from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.outages import is_outage
from chalicelib.store import accepting, events, instances, operations, quotas
from chalicelib.store.base import condition_failed
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Instance, Operation
from simulator.aws.errors import client_error
from tests.support.bare import World
from tests.support.rows import TENANT, accepted, create_operation, delete_operation, new_instance

Reply = Callable[[Callable[[], Any]], Any]
"""What becomes of a transaction: gets the call that applies it, and answers or raises."""

CREATED = Ending(OperationStatus.SUCCEEDED)
FAILED = Ending(OperationStatus.FAILED, reason="x", undone=True)
GONE = Ending(OperationStatus.SUCCEEDED)
HELD = {"instances": 1, "ram": 512, "volumes": 2}
NOTHING = {"instances": 0, "ram": 0, "volumes": 0, "backups": 0}


class Lossy:
    """A client whose next transactions are replied to as planned; it remembers what was sent."""

    _request_signer = None

    def __init__(self, world: World, *replies: Reply) -> None:
        self.client, self.replies = world.clients["dynamodb"], list(replies)
        self.sent: list[dict[str, Any]] = []
        world.clients["dynamodb"] = self

    def _make_api_call(self, operation: str, kwargs: dict[str, Any]) -> Any:
        def apply() -> Any:
            return self.client._make_api_call(operation, kwargs)

        if operation != "TransactWriteItems":
            return apply()
        self.sent.append(kwargs)
        return self.replies.pop(0)(apply) if self.replies else apply()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


def sent_again(apply: Callable[[], Any]) -> Any:
    """The reply is lost, and botocore sends the request again."""
    apply()
    return apply()


def still_in_progress(apply: Callable[[], Any]) -> Any:
    """The same, but the second request is faster than the end of the first one."""
    apply()
    raise client_error("TransactionInProgressException", "TransactWriteItems")


def silent(error: BotoCoreError) -> Reply:
    """Nobody answers, however often botocore asks; the first request took effect."""

    def reply(apply: Callable[[], Any]) -> Any:
        apply()
        raise error

    return reply


def unheard(_: Callable[[], Any]) -> Any:
    """No request arrives."""
    raise EndpointConnectionError(endpoint_url="dynamodb")


def bad_gateway(apply: Callable[[], Any]) -> Any:
    """Something between us and the service answers in its place, after the effect."""
    apply()
    response: Any = {
        "Error": {"Code": "502", "Message": "Bad Gateway"},
        "ResponseMetadata": {"HTTPStatusCode": 502},
    }
    raise ClientError(response, "TransactWriteItems")


LOST = [
    pytest.param(silent(ReadTimeoutError(endpoint_url="dynamodb")), id="no answer"),
    pytest.param(silent(ConnectionClosedError(endpoint_url="dynamodb")), id="closed"),
    pytest.param(bad_gateway, id="bad gateway"),
]


def used() -> dict[str, int]:
    return quotas.used_of(quotas.get_quota(TENANT))


def stored(operation: Operation) -> Operation:
    row = operations.get_operation(operation.id)
    assert row is not None
    return row


def active() -> Instance:
    instance, operation = accepted()
    end_operation(operation, CREATED)
    return instances.get_instance(instance.id)


def is_lost(change: Callable[[], object]) -> None:
    """The change ends without an answer, which is nobody's mistake (503, not 500)."""
    with pytest.raises(TransactWriteError) as caught:
        change()
    assert is_outage(caught.value)
    assert not condition_failed(caught.value)


def kinds(instance: Instance) -> list[str]:
    return sorted(row.kind for row in events.events_of(instance.id))


def test_a_lost_reply_is_no_failed_condition() -> None:
    assert not condition_failed(PutError("lost", ReadTimeoutError(endpoint_url="dynamodb")))


@pytest.mark.parametrize("reply", [sent_again, still_in_progress])
def test_a_transaction_that_is_sent_again_meets_its_own_write(
    plain_world: World, reply: Reply
) -> None:
    """On the tables in memory alone: moto does not know the tokens."""
    client = Lossy(plain_world, reply)
    instance, operation = accepted()
    assert used() == {**HELD, "backups": 0}
    assert all(each == client.sent[0] for each in client.sent)

    client.replies.append(reply)
    assert end_operation(stored(operation), CREATED) is None
    deletion = delete_operation(instance)
    client.replies.append(reply)
    assert accepting.accept(instances.get_instance(instance.id), deletion)
    client.replies.append(reply)
    assert instances.reset_status(instances.get_instance(instance.id), "stuck")
    assert kinds(instance) == [
        "create_instance.accepted",
        "create_instance.succeeded",
        "delete_instance.accepted",
        "status.reset",
    ]


def test_what_is_sent_again_after_a_conflict_is_the_same_request(plain_world: World) -> None:
    """Else the token is refused: IdempotentParameterMismatchException."""
    instance, operation = accepted()
    deletion = delete_operation(instance)
    changes: list[Callable[[], object]] = [
        lambda: instances.reset_status(instances.get_instance(instance.id), "stuck"),
        lambda: accepting.accept(instances.get_instance(instance.id), deletion),
        lambda: end_operation(stored(operation), FAILED),  # hands over to the delete
        lambda: end_operation(stored(deletion), GONE),
    ]
    for change in changes:
        client = Lossy(plain_world, *[still_in_progress] * 3)
        change()
        plain_world.clients["dynamodb"] = client.client
        assert len(client.sent) == 4
        assert all(each == client.sent[0] for each in client.sent)
    assert used() == NOTHING
    row = instances.find_instance(instance.id)
    assert row is not None
    assert (row.status, row.held) == (Status.DELETED, {})


@pytest.mark.parametrize("reply", LOST)
def test_a_create_that_nobody_answered_is_accepted_once(world: World, reply: Reply) -> None:
    instance = new_instance()
    operation = create_operation(instance)
    client = Lossy(world, reply)
    is_lost(lambda: accepting.accept_create(instance, operation, HELD))
    assert len(client.sent) == 1
    assert used() == {**HELD, "backups": 0}
    assert instances.get_instance(instance.id).operation_id == operation.id
    assert operations.due_operations(world.now + 31, 10) == [operation.id]


def test_a_create_that_did_not_arrive_leaves_nothing(world: World) -> None:
    instance = new_instance()
    Lossy(world, unheard)
    is_lost(lambda: accepting.accept_create(instance, create_operation(instance), HELD))
    assert instances.find_instance(instance.id) is None
    assert used() == NOTHING


@pytest.mark.parametrize("reply", LOST)
def test_an_end_that_nobody_answered_is_found_by_the_step_that_runs_again(
    world: World, reply: Reply
) -> None:
    instance, operation = accepted()
    Lossy(world, reply)
    is_lost(lambda: end_operation(stored(operation), FAILED))
    assert end_operation(stored(operation), FAILED) is None
    row = instances.get_instance(instance.id)
    assert (row.status, row.operation_id, row.held) == (Status.ERROR, None, {})
    assert used() == NOTHING
    assert kinds(instance) == ["create_instance.accepted", "create_instance.failed"]


@pytest.mark.parametrize("reply", LOST)
def test_a_delete_that_nobody_answered_is_one_operation(world: World, reply: Reply) -> None:
    instance = active()
    first, second = delete_operation(instance), delete_operation(instance)
    Lossy(world, reply)
    is_lost(lambda: accepting.accept(instances.get_instance(instance.id), first))
    row = instances.get_instance(instance.id)
    assert (row.status, row.operation_id) == (Status.SHUTDOWN, first.id)
    assert not accepting.accept(instance, second)
    assert operations.get_operation(second.id) is None


@pytest.mark.parametrize("reply", LOST)
def test_a_reset_that_nobody_answered_may_be_repeated(world: World, reply: Reply) -> None:
    instance, operation = accepted()
    Lossy(world, reply)
    is_lost(lambda: instances.reset_status(instances.get_instance(instance.id), "first"))
    assert instances.reset_status(instances.get_instance(instance.id), "second")
    assert instances.get_instance(instance.id).status == Status.ERROR
    assert stored(operation).cancelled == "first", "the first reason stays"
    assert used() == {**HELD, "backups": 0}
