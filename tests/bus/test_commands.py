"""Commands: a synchronous call, its deadline, and the meeting of a token and an answer."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from typing import Any

import pytest

from chalicelib import errors, waiting
from chalicelib.bus import commands, contract, keys, queues
from chalicelib.bus.contract.answers import Done, UserPage
from chalicelib.bus.contract.arguments import Account, CreateUsers, Page, User
from chalicelib.bus.envelope import Direction, Fault, open_sealed
from chalicelib.store import calls
from chalicelib.store import commands as rows
from chalicelib.store.base import ConditionFailed
from chalicelib.store.models import Command, Instance
from simulator.aws.errors import client_error
from tests.support.bare import World
from tests.support.rows import accepted

PREPARED = {"status": "healthy"}
ANN = CreateUsers([User("ann", "pass-word")])


class Tokens:
    """Step Functions as far as tokens go."""

    def __init__(self) -> None:
        self.completed: list[tuple[str, str]] = []
        self.closed: str | None = None

    def send_task_success(self, taskToken: str, output: str) -> None:  # noqa: N803
        """Complete a token, once."""
        if self.closed:
            raise client_error(self.closed, "SendTaskSuccess")
        self.completed.append((taskToken, json.loads(output)["outcome"]))


@pytest.fixture
def tokens(world: World) -> Tokens:
    made = world.clients["stepfunctions"] = Tokens()
    return made


@pytest.fixture
def instance(world: World) -> Instance:
    row, _ = accepted()
    queues.make_guest_queue(row.id, 1)
    return row


def answer_with(world: World, instance: Instance, **answer: Any) -> list[Any]:
    """Answer the next command while the caller sleeps; returns what the guest read."""
    url, read = queues.guest_queue_url(instance.id, 1), []
    key = keys.guest_key(instance.id, 1, Direction.TO_GUEST, 1)

    def guest() -> None:
        while records := world.sqs.take(url, 1):
            command = open_sealed(records[0]["body"], Direction.TO_GUEST, lambda _: key)
            world.sqs.settle(url, [records[0]["receiptHandle"]])
            read.append(command)
            result, error = answer.get("result"), answer.get("error")
            with suppress(ConditionFailed):  # of one that came twice
                commands.store_answer(command.id, instance.id, 1, result, error)

    world.provider.on_sleep = guest
    return read


def test_a_call_returns_what_the_guest_answered(world: World, instance: Instance) -> None:
    read = answer_with(world, instance, result={"users": []})
    found = commands.call(instance, contract.LIST_USERS, Page(20))
    assert found == UserPage(users=[])
    (command,) = read
    assert (command.kind, command.method, command.args) == ("command", "list_users", {"limit": 20})
    assert (command.epoch, command.seq) == (0, 0), "only what guests send is numbered"
    assert command.expires_at - command.issued_at == 20


def test_an_answer_is_found_while_other_reads_are_late(world: World) -> None:
    world.read_late(60)
    instance, _ = accepted()
    queues.make_guest_queue(instance.id, 1)
    answer_with(world, instance, result={"users": []})
    assert commands.call(instance, contract.LIST_USERS, Page()) == UserPage(users=[])


def test_arguments_are_not_in_clear_on_the_queue(world: World, instance: Instance) -> None:
    answer_with(world, instance, result={})
    commands.call(instance, contract.CREATE_USER, ANN)
    assert not any("pass-word" in body for body in world.bodies)


def test_a_guest_that_stays_silent_is_a_timeout_within_the_deadline(
    world: World, instance: Instance
) -> None:
    started = world.now
    with pytest.raises(errors.GuestTimeout, match="may still take effect"):
        commands.call(instance, contract.LIST_USERS, Page())
    assert 20 <= world.now - started < 21.5
    assert len(world.provider.sleeps) <= 70


@pytest.mark.parametrize("answered_after", [0.001, 0.05, 0.11, 0.15, 0.5, 3.0])
def test_an_answer_is_found_soon_after_it_came(
    world: World, instance: Instance, answered_after: float
) -> None:
    answer_with(world, instance, result={"users": []})
    answer, began = world.provider.on_sleep, world.now
    world.provider.on_sleep = lambda: answer() if world.now - began >= answered_after else None
    commands.call(instance, contract.LIST_USERS, Page())
    late = world.now - began - answered_after
    assert late <= max(waiting.LEAST_PAUSE_SECONDS, answered_after * waiting.SHARE) + 1e-6


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UserNotFound", errors.NotFound),
        ("DatabaseNotFound", errors.NotFound),
        ("UserAlreadyExists", errors.BadRequest),
        ("NotSupported", errors.NotSupported),
        ("Expired", errors.GuestTimeout),
        ("Interrupted", errors.Conflict),
        ("Unavailable", errors.Unavailable),
        ("WrongGeneration", errors.Unavailable),
        ("GuestError", errors.GuestFailed),
        ("a code of a later release", errors.GuestFailed),
    ],
)
def test_the_guests_errors_are_answered_as_ours(
    world: World, instance: Instance, code: str, kind: type[errors.CofferError]
) -> None:
    answer_with(world, instance, error=Fault(code, "the reason"))
    with pytest.raises(kind, match="the reason") as caught:
        commands.call(instance, contract.GET_USER, Account("ann"))
    assert type(caught.value) is kind


def command_of(instance: Instance) -> Command:
    return commands.new_command("operation.prepare", instance, "prepare", deadline=1.9e9)


ORDERS = list(itertools.permutations(["token", "answer"]))


@pytest.mark.parametrize("order", ORDERS, ids=" then ".join)
def test_whichever_comes_second_completes_the_token(
    instance: Instance, tokens: Tokens, order: tuple[str, ...]
) -> None:
    command_of(instance).save()
    for what in order:
        assert tokens.completed == []
        if what == "token":
            commands.settle(commands.await_with_token(command_of(instance), "token-1"))
        else:
            row = commands.store_answer("operation.prepare", instance.id, 1, PREPARED, None)
            commands.settle(row)
    assert tokens.completed == [("token-1", "done")]


def test_an_error_completes_the_token_as_failed(instance: Instance, tokens: Tokens) -> None:
    commands.await_with_token(command_of(instance), "token-1")
    fault = Fault("GuestError", "no space left")
    commands.settle(commands.store_answer("operation.prepare", instance.id, 1, None, fault))
    assert tokens.completed == [("token-1", "failed")]


@pytest.mark.parametrize("result", [{}, {"status": "crashed"}, {"status": ["healthy"]}])
def test_an_answer_that_does_not_fit_is_the_guests_failure(
    instance: Instance, tokens: Tokens, result: dict[str, Any]
) -> None:
    commands.await_with_token(command_of(instance), "token-1")
    row = commands.store_answer("operation.prepare", instance.id, 1, result, None)
    commands.settle(row)
    assert tokens.completed == [("token-1", "failed")]
    fault = commands.fault_of(row)
    assert fault is not None
    assert fault.message == (
        f"The guest agent of instance {instance.id} gave no valid answer to prepare."
    )
    assert row.result == result, "what it said is kept as it said it"


def test_an_answer_to_a_method_of_another_release_is_for_that_one_to_judge(
    instance: Instance, tokens: Tokens
) -> None:
    row = commands.new_command("operation.later", instance, "later", deadline=1.9e9)
    commands.await_with_token(row, "token-1")
    commands.settle(commands.store_answer("operation.later", instance.id, 1, {}, None))
    assert tokens.completed == [("token-1", "done")]


def test_a_retried_step_waits_with_its_new_token_and_keeps_the_rest(
    world: World, instance: Instance, tokens: Tokens
) -> None:
    first = commands.await_with_token(command_of(instance), "token-1")
    world.run(60)
    second = commands.await_with_token(command_of(instance), "token-2")
    assert (second.created, second.deadline) == (first.created, first.deadline)
    commands.settle(commands.store_answer("operation.prepare", instance.id, 1, PREPARED, None))
    assert tokens.completed == [("token-2", "done")]


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_token_that_is_closed_already_is_fine(tokens: Tokens, code: str) -> None:
    tokens.closed = code
    commands.complete("token-1", "done")


def test_any_other_failure_to_complete_a_token_is_raised(tokens: Tokens) -> None:
    tokens.closed = "ThrottlingException"
    with pytest.raises(Exception, match="ThrottlingException"):
        commands.complete("token-1", "done")


@pytest.mark.parametrize("sender", [("instance-of-another-tenant", 1), (None, 0), (None, 2)])
def test_only_the_guest_that_was_asked_can_answer(
    instance: Instance, sender: tuple[str | None, int]
) -> None:
    command_of(instance).save()
    with pytest.raises(ConditionFailed):
        commands.store_answer(
            "operation.prepare", sender[0] or instance.id, sender[1], {"forged": True}, None
        )
    row = rows.find("operation.prepare")
    assert row is not None
    assert row.answered is None


def test_the_first_answer_stays(instance: Instance) -> None:
    command_of(instance).save()
    commands.store_answer("operation.prepare", instance.id, 1, {"first": True}, None)
    with pytest.raises(ConditionFailed):
        commands.store_answer("operation.prepare", instance.id, 1, {"second": True}, None)
    row = rows.find("operation.prepare")
    assert row is not None
    assert row.result == {"first": True}


def test_no_answer_creates_a_command_that_was_never_sent(instance: Instance) -> None:
    with pytest.raises(ConditionFailed):
        commands.store_answer("never-sent", instance.id, 1, {}, None)
    assert rows.find("never-sent") is None


def test_a_call_that_nobody_answered_is_sent_again_as_the_same(
    world: World, instance: Instance
) -> None:
    """Its slot ran out with the first attempt; the guest is asked by the same id, as of then."""
    with pytest.raises(errors.GuestTimeout):
        commands.call(instance, contract.CREATE_USER, ANN, "the-command")
    read = answer_with(world, instance, result={})
    assert commands.call(instance, contract.CREATE_USER, ANN, "the-command") == Done()
    assert [each.id for each in read] == ["the-command"] * 2
    assert len({each.issued_at for each in read}) == 1
    assert read[1].expires_at >= read[0].expires_at + 20


def test_a_call_that_was_answered_is_not_sent_again(world: World, instance: Instance) -> None:
    read = answer_with(world, instance, result={})
    for _ in range(2):
        commands.call(instance, contract.CREATE_USER, ANN, "the-command")
    assert len(read) == 1


def test_a_call_that_was_sent_to_a_former_guest_is_not_sent_to_the_next(
    world: World, instance: Instance
) -> None:
    with pytest.raises(errors.GuestTimeout):
        commands.call(instance, contract.CREATE_USER, ANN, "the-command")
    instance.generation = 2
    with pytest.raises(errors.Conflict, match="was replaced"):
        commands.call(instance, contract.CREATE_USER, ANN, "the-command")


def test_who_waits_for_the_same_command_has_a_slot_of_its_own(
    world: World, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    monkeypatch.setattr(calls, "take", lambda _, slot, until: taken.append(slot))
    answer_with(world, instance, result={})
    for _ in range(2):
        commands.call(instance, contract.CREATE_USER, ANN, "the-command")
    assert len(set(taken)) == 2
