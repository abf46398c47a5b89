"""A guest with valid keys says anything, on the whole way back: it harms nobody but itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chalicelib import errors
from chalicelib.bus import commands, contract
from chalicelib.bus.contract import Method
from chalicelib.bus.contract.values import MOST_DEPTH, MOST_MESSAGE
from chalicelib.bus.envelope import Direction, Fault, open_sealed
from chalicelib.conductor import reports
from chalicelib.store.models import Command
from tests.conductor.conftest import Built
from tests.support.bare import World

QUICK = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300) | st.sampled_from(
    ["", "\x1b[2J", "é" * 300, "x" * 300]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**40, -(10**40), 2**63, -1])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1e-300, 1e308, -1e308, 5e-324])
    | text
)
anything: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=10,
)
NAMES = ("databases", "users", "user", "enabled", "next_marker", "name", "host")
near = st.dictionaries(st.sampled_from(NAMES), anything, max_size=4)
faults = st.builds(Fault, code=text | st.sampled_from(sorted(commands.CODES)), message=text)


class Asked:
    """A caller of one guest, which answers as it is told."""

    def __init__(self, world: World, built: Built) -> None:
        self.world, self.built = world, built
        self.url = (built.guest.admission or {})["queues"]["guest"]

    def call(self, method: Method[Any, Any], result: Any, fault: Fault | None) -> Any:
        """What the caller gets, or its error; the answer takes the way of every report."""
        guest = self.built.guest
        key = guest.key_of(Direction.TO_GUEST)

        def answer() -> None:
            for record in self.world.sqs.take(self.url, 1):
                command = open_sealed(record["body"], Direction.TO_GUEST, lambda _: key)
                self.world.sqs.settle(self.url, [record["receiptHandle"]])
                reports.receive(guest.sealed("result", command.id, result, fault))

        self.world.provider.on_sleep = answer
        try:
            return commands.call(self.built.instance, method, {})
        except errors.CofferError as error:
            return error


@pytest.mark.parametrize("method", contract.METHODS.values(), ids=list(contract.METHODS))
def test_whatever_a_guest_answers_is_an_answer_or_its_own_failure(
    world: World, built: Built, method: Method[Any, Any]
) -> None:
    asked = Asked(world, built)

    @QUICK
    @given(near | st.dictionaries(text, anything, max_size=3), st.none() | faults)
    @example({"databases": [{"name": "é" * 255}] * 300}, None)
    @example({"databases": [], "next_marker": ""}, None)
    @example({"user": {"name": "a", "host": 10**40}}, None)
    @example({}, Fault("UserNotFound", "\x00"))
    def answered(result: dict[str, Any], fault: Fault | None) -> None:
        found = asked.call(method, result, fault)
        if isinstance(found, errors.CofferError):
            assert found.status in (400, 404, 409, 501, 502, 503)
            assert 0 < len(found.message) <= MOST_MESSAGE
            assert found.message.isprintable()
        else:
            assert isinstance(found, method.answer)

    answered()


def nested(depth: int) -> list[Any]:
    """So many lists within each other."""
    return [nested(depth - 1)] if depth > 1 else []


@pytest.mark.parametrize(
    "result",
    [
        {"rows": ["é" * 1000] * 60},
        {"rows": ["x" * 1000] * 190},
        {"é" * 60_000: 1},
    ],
    ids=["grows in the table", "largest message", "one key"],
)
def test_an_answer_that_no_row_can_hold_is_told_at_once(
    world: World, built: Built, result: dict[str, Any]
) -> None:
    began = world.now
    found = Asked(world, built).call(contract.LIST_USERS, result, None)
    assert type(found) is errors.GuestFailed
    assert world.now - began < 1


def test_an_answer_that_is_nested_too_deep_is_told_and_not_stored(
    world: World, built: Built
) -> None:
    """Who reads it may stand deeper in its own stack than who has stored it."""
    asked = Asked(world, built)
    fits = asked.call(contract.LIST_USERS, {"users": [], "more": nested(MOST_DEPTH - 1)}, None)
    assert fits == contract.LIST_USERS.decode({"users": []})
    found = asked.call(contract.LIST_USERS, {"users": [], "more": nested(MOST_DEPTH)}, None)
    assert type(found) is errors.GuestFailed
    assert "nested too deep" in found.message
    assert [row.result is None for row in Command.scan(Command.error.exists())] == [True]


@pytest.mark.parametrize("stage", ["x" * 5000, "a\x1b[2Jb", "", "é" * 300])
def test_a_stage_is_bounded_and_printable(built: Built, stage: str) -> None:
    row = commands.new_command("command-1", built.instance, "prepare", deadline=1.9e9)
    row.save()
    reports.receive(built.guest.sealed("progress", row.id, {"stage": stage}))
    stored = Command.get(row.id).stage or ""
    assert len(stored) <= reports.MOST_STAGE
    assert stored.isprintable()


@QUICK
@given(
    st.sampled_from(["result", "progress", "root", "heartbeat", "dance"]),
    text,
    st.none() | st.dictionaries(text, anything, max_size=3),
    st.none() | faults,
)
@example("progress", "x" * 5000, {"stage": 10**40}, None)
@example("result", "", None, Fault("", ""))
def test_no_report_fails_the_record_that_brought_it(
    world: World, built: Built, kind: str, command_id: str, result: Any, error: Fault | None
) -> None:
    reports.receive(built.guest.sealed(kind, command_id, result, error))
