"""What Trove does within a request is done when it is answered, if that does not take too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.api.application import create_app
from chalicelib.api.frame import ANSWER_SECONDS
from chalicelib.auth.context import Context
from chalicelib.bus import commands, queues
from chalicelib.bus.commands import call
from chalicelib.domain.operations import OperationStatus
from chalicelib.settings import settings
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.instances import get_instance
from chalicelib.store.models import CallsRow, Configuration, Instance
from chalicelib.store.operations import get_operation
from simulator.region import API_TIMEOUT_SECONDS
from tests.api.client import Api
from tests.api.conftest import Make, authenticate, operations
from tests.api.test_configurations import attach, end, group
from tests.support.bare import World

Asleep = Callable[[Callable[[], None]], None]
KEYSTONE_SECONDS = 12
"""A login of the deployment's own, and a token that is looked at."""
LATER = 3
"""Sleeps, after which somebody has done something."""


@pytest.fixture
def asleep(world: World, monkeypatch: pytest.MonkeyPatch) -> Asleep:
    """Has something done while a request sleeps."""

    def later(does: Callable[[], None]) -> None:
        count = 0

        def slept() -> None:
            nonlocal count
            count += 1
            if count == LATER:
                does()

        monkeypatch.setattr(world.provider, "on_sleep", slept)

    return later


def in_flight(api: Api) -> dict[str, Any]:
    return dict(CallsRow.get(api.project).slots)


def test_an_attach_and_a_detach_are_answered_at_their_end(
    api: Api, make: Make, world: World, asleep: Asleep
) -> None:
    row, made = make(), group(api)
    for wanted in (made, None):
        began = world.now
        asleep(lambda: end(row))
        assert attach(api, row, wanted).status == 202
        assert get_instance(row.id).operation_id is None
        assert world.now - began < 1
        assert in_flight(api) == {}


def test_another_operation_that_has_begun_since_is_not_waited_for(
    api: Api, make: Make, world: World, asleep: Asleep
) -> None:
    row, began = make(), world.now

    def others() -> None:
        end(row)
        row.update(actions=[Instance.operation_id.set("of another request")])

    asleep(others)
    assert attach(api, row, group(api)).status == 202
    assert world.now - began < 1


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_change_of_a_group_is_answered_when_its_instances_have_it(
    api: Api, make: Make, asleep: Asleep, method: str
) -> None:
    row, made = make(), group(api)
    asleep(lambda: end(row))
    attach(api, row, made)

    def applied() -> None:
        (operation,) = operations(made)
        end_operation(operation, Ending(OperationStatus.SUCCEEDED))

    asleep(applied)
    body = {"configuration": {"values": {"wait_timeout": 60}}}
    assert getattr(api, method)(f"/configurations/{made}", body).status in (200, 202)
    assert Configuration.get(made).operation_id is None


def test_what_takes_longer_than_a_guests_answer_is_answered_before(
    api: Api, make: Make, world: World
) -> None:
    row, began = make(), world.now
    assert attach(api, row, group(api)).status == 202
    live = get_operation(str(get_instance(row.id).operation_id))
    assert live is not None
    assert live.live is not None
    bound = settings().guest_call_seconds
    assert bound - 1 <= world.now - began < bound + 1
    assert in_flight(api) == {}


def known_late(token: str) -> Context:
    """Keystone, which takes its time."""
    aws.sleep(KEYSTONE_SECONDS)
    return authenticate(token)


@pytest.mark.parametrize(("path", "status"), [("/users", 503), ("", 202)])
def test_what_keystone_takes_is_not_waited_for_others_as_well(
    api: Api,
    make: Make,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    status: int,
) -> None:
    monkeypatch.setattr(commands, "call", call)
    row, made = make(), group(api)
    queues.make_guest_queue(row.id, int(row.generation))
    api.app, began = create_app(known_late), world.now
    answer = api.get(f"/instances/{row.id}{path}") if path else attach(api, row, made)
    assert answer.status == status
    waited = world.now - began
    assert settings().guest_call_seconds + KEYSTONE_SECONDS > API_TIMEOUT_SECONDS
    assert ANSWER_SECONDS - 1 <= waited < API_TIMEOUT_SECONDS - 1
    assert in_flight(api) == {}


def test_nobody_waits_without_a_slot_nor_for_what_is_only_tried(
    api: Api, make: Make, world: World
) -> None:
    row, made, now = make(), group(api), world.now
    busy = {str(n): {"instance_id": row.id, "until": now + 60} for n in range(4)}
    CallsRow(api.project, slots=busy, version=1).save()
    began = world.now
    body = {"instance": {"configuration": made}}
    assert api.put(f"/instances/{row.id}?dry_run=true", body).status == 200
    assert attach(api, row, made).status == 202
    assert world.now - began < 1


def test_a_look_that_fails_leaves_the_answer_as_it_is(api: Api, make: Make, asleep: Asleep) -> None:
    row, made = make(), group(api)
    asleep(row.delete)
    assert attach(api, row, made).status == 202
    assert in_flight(api) == {}
