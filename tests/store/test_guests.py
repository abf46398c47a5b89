"""Who speaks for a generation of an instance: one key on one server, in a growing order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from chalicelib.errors import OverLimit
from chalicelib.store import guests
from chalicelib.store.base import ConditionFailed
from chalicelib.store.models import Guest
from tests.support.bare import World

HERE = ("instance-1", 1)


def bound() -> Guest:
    guests.bind(*HERE, "key", "server", 10)
    return found()


def found() -> Guest:
    guest = guests.find(*HERE)
    assert guest is not None
    return guest


@pytest.mark.parametrize("key", ["key", "another key"])
def test_a_generation_is_bound_once(world: World, key: str) -> None:
    before = bound()
    with pytest.raises(ConditionFailed):
        guests.bind(*HERE, key, "server", 11)
    assert found().attribute_values == before.attribute_values


def test_the_same_guest_begins_an_epoch_with_each_start(world: World) -> None:
    guest = bound()
    guests.admit(guest, 12, start=True)
    assert guest.epoch == 2
    guests.admit(guest, 13, start=False)
    assert (guest.epoch, guest.issued_at_ms) == (2, 13)


@pytest.mark.parametrize("issued_at_ms", [12, 13, 14])
def test_of_requests_that_come_together_one_is_noted(world: World, issued_at_ms: int) -> None:
    """All have read the row before the first was noted, so that none would see a full bucket."""
    first, second = bound(), found()
    guests.admit(first, 13, start=True)
    with pytest.raises(OverLimit) as refused:
        guests.admit(second, issued_at_ms, start=True)
    assert refused.value.retry_after_seconds == 1
    assert found().attribute_values == first.attribute_values


def test_a_guest_asks_so_many_times_at_once_and_then_as_often_as_its_bucket_leaks(
    world: World,
) -> None:
    guest = bound()
    assert asked(guest) == guests.REQUESTS_A_MINUTE
    with pytest.raises(OverLimit) as refused:
        guests.require_room(guest)
    assert refused.value.retry_after_seconds == 2
    world.run(1.9)
    assert asked(guest) == 0
    world.run(0.1)
    assert asked(guest) == 1
    world.run(3600)
    assert asked(guest) == guests.REQUESTS_A_MINUTE


def asked(guest: Guest) -> int:
    """How many more requests are noted now."""
    before = int(guest.issued_at_ms)
    with contextlib.suppress(OverLimit):
        for number in range(1, 100):
            guests.require_room(guest)
            guests.admit(guest, before + number, start=False)
    return int(guest.issued_at_ms) - before


def test_a_row_of_a_release_that_noted_no_request_is_one_of_none_yet(world: World) -> None:
    guest = bound()
    guest.update(actions=[Guest.issued_at_ms.remove(), Guest.quiet_at_ms.remove()])
    guests.admit(found(), 12, start=True)
    assert found().issued_at_ms == 12


def test_another_generation_is_another_guest(world: World) -> None:
    bound()
    guests.bind(HERE[0], 2, "another key", "another server", 1)
    guests.forget(*HERE)
    assert guests.find(*HERE) is None
    assert guests.find(HERE[0], 2) is not None


@pytest.mark.parametrize("note", [guests.note_stranger, guests.note_question])
def test_nothing_is_noted_of_a_guest_that_was_taken_away_meanwhile(
    world: World, note: Callable[[Guest, float], bool]
) -> None:
    """A row without a key would pass for a guest."""
    seen = bound()
    assert note(seen, 600)
    assert not note(seen, 600)
    writes = world.calls["dynamodb.UpdateItem"]
    assert not note(found(), 600)  # what was read tells: no write, however often somebody asks
    assert world.calls["dynamodb.UpdateItem"] == writes
    guests.forget(*HERE)
    world.run(601)
    assert not note(seen, 600)
    assert guests.find(*HERE) is None


def test_who_has_not_enrolled_has_begun_no_epoch(world: World) -> None:
    assert guests.epoch_of("instance-1", 1) == 0
