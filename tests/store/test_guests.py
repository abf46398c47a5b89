"""Who speaks for a generation of an instance: one key on one server, in a growing order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib.store import guests
from chalicelib.store.base import ConditionFailed
from chalicelib.store.models import Guest
from tests.support.bare import World

HERE = ("instance-1", 1)


def bound() -> Guest:
    guests.bind(*HERE, "key", "server", 10)
    found = guests.find(*HERE)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("key", "server", "issued_at_ms"),
    [
        ("another key", "server", 11),
        ("key", "another server", 11),
        ("another key", "another server", 11),
        ("key", "server", 10),
        ("key", "server", 9),
    ],
)
def test_nobody_else_and_no_older_request_is_bound(
    world: World, key: str, server: str, issued_at_ms: int
) -> None:
    before = bound()
    with pytest.raises(ConditionFailed):
        guests.bind(*HERE, key, server, issued_at_ms)
    after = guests.find(*HERE)
    assert after is not None
    assert after.attribute_values == before.attribute_values


def test_the_same_guest_begins_an_epoch_with_each_start(world: World) -> None:
    first = bound()
    world.run(5)
    again = guests.bind(*HERE, "key", "server", 11)
    guests.renew(again, 12, start=True)
    assert (first.epoch, again.epoch) == (1, 3)
    assert again.enrolled == first.enrolled
    guests.renew(again, 13, start=False)
    assert again.epoch == 3


@pytest.mark.parametrize("start", [True, False])
def test_a_renewal_is_not_seen_twice(world: World, start: bool) -> None:
    guest = bound()
    with pytest.raises(ConditionFailed):
        guests.renew(guest, 10, start=start)


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
    guests.forget(*HERE)
    world.run(601)
    assert not note(seen, 600)
    assert guests.find(*HERE) is None
