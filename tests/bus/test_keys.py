"""Keys: one per guest and direction, and what the control plane seals for itself."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.bus import keys
from chalicelib.bus.envelope import BadSeal, Direction
from chalicelib.parameters import (
    CLOUD,
    GUEST_KEYS,
    LOOK_SECONDS,
    REFRESH_SECONDS,
    Credential,
    held,
)
from tests.support.bare import Fault, World

shared_world = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@shared_world
@given(text, text, st.binary(max_size=200))
def test_what_was_protected_is_revealed(
    world: World, purpose: str, context: str, plain: bytes
) -> None:
    assert keys.reveal(purpose, context, keys.protect(purpose, context, plain)) == plain


@shared_world
@given(st.data())
def test_a_changed_character_reveals_nothing_else(world: World, data: st.DataObject) -> None:
    protected = keys.protect("purpose", "context", b"the secret")
    place = data.draw(st.integers(0, len(protected) - 1))
    changed = protected[:place] + data.draw(st.characters()) + protected[place + 1 :]
    try:
        assert keys.reveal("purpose", "context", changed) == b"the secret"
    except (BadSeal, keys.NotYetKnown):
        assert changed != protected


@shared_world
@given(st.text())
def test_any_other_text_is_refused_as_one_kind_of_error(world: World, protected: str) -> None:
    with pytest.raises((BadSeal, keys.NotYetKnown)):
        keys.reveal("purpose", "context", protected)


def test_another_purpose_or_another_context_does_not_reveal_it(world: World) -> None:
    protected = keys.protect("operation", "operation-1", b"the secret")
    with pytest.raises(BadSeal):
        keys.reveal("enrolment token", "operation-1", protected)
    with pytest.raises(BadSeal):
        keys.reveal("operation", "operation-2", protected)


def test_each_guest_generation_direction_and_version_has_a_key_of_its_own(world: World) -> None:
    made = [
        keys.guest_key(*parts)
        for parts in itertools.product(["a", "b"], [1, 2, 11], list(Direction), [1, 2], [0, 1])
    ]
    assert len(set(made)) == len(made)
    assert {len(key) for key in made} == {32}


def test_a_key_is_the_same_in_every_process(world: World) -> None:
    first = keys.guest_key("a", 1, Direction.TO_GUEST, 1)
    world.provider.memory().clear()
    assert keys.guest_key("a", 1, Direction.TO_GUEST, 1) == first


def test_a_guest_does_not_know_the_key_of_another_epoch(world: World) -> None:
    given = keys.guest_key("a", 1, Direction.TO_CONTROL, 1, 4)
    assert keys.guest_key("a", 1, Direction.TO_CONTROL, 1, 5) != given


def test_header_names_of_strangers_do_not_fill_the_memory(world: World) -> None:
    for number in range(50):
        keys.guest_key(f"stranger-{number}", 1, Direction.TO_CONTROL, 1)
    assert set(world.provider.memory()) == {"parameter guest-keys", "settings"}


# -------------------------------------------------------------------------------- a rotation


def rotated(world: World) -> None:
    """Version 3 is added and used, as `coffer rotate-key` does, while this container is warm."""
    keys.guest_ring()
    ring = world.ring.with_new(bytes([3]) * 32, world.now)
    world.ring = ring.with_newest_in_use(ring.usable_at)


def test_a_warm_container_looks_a_newer_version_up(world: World) -> None:
    rotated(world)
    world.run(LOOK_SECONDS)
    assert len(keys.guest_key("a", 1, Direction.TO_CONTROL, 3)) == 32
    assert keys.guest_ring().current == 3


def test_what_was_sealed_before_a_rotation_is_opened_after_it(world: World) -> None:
    before = keys.protect("purpose", "", b"old")
    rotated(world)
    world.run(REFRESH_SECONDS)
    assert keys.protect("purpose", "", b"new").startswith("3.")
    assert keys.reveal("purpose", "", before) == b"old"


def test_a_version_that_may_be_on_its_way_is_not_refused(world: World) -> None:
    for version in (3, 4):
        with pytest.raises(keys.NotYetKnown):
            keys.guest_key("a", 1, Direction.TO_GUEST, version)
    with pytest.raises(keys.NotYetKnown):
        keys.reveal("purpose", "", "3." + "A" * 40)


@pytest.mark.parametrize("version", [0, 5, 9, 2**53])
def test_a_version_that_cannot_exist_is_refused(world: World, version: int) -> None:
    world.run(LOOK_SECONDS)
    with pytest.raises(BadSeal, match=f"version {version} is not known"):
        keys.guest_key("a", 1, Direction.TO_GUEST, version)
    assert len(world.log) == 1


def test_a_retired_version_is_refused(world: World) -> None:
    rotated(world)
    world.ring = world.ring.without_old(world.now, forced=True)
    world.run(REFRESH_SECONDS)
    with pytest.raises(BadSeal):
        keys.guest_key("a", 1, Direction.TO_CONTROL, 1)


def test_forged_versions_do_not_become_calls(world: World) -> None:
    keys.guest_ring()
    for _ in range(100):
        world.run(LOOK_SECONDS / 50)
        with pytest.raises(keys.NotYetKnown):
            keys.guest_key("a", 1, Direction.TO_CONTROL, 3)
    assert world.log.count("ssm.GetParameter") == 3


# --------------------------------------------------------------------------- what is held, how long


def test_a_parameter_is_read_again_when_it_is_old(world: World) -> None:
    for _ in range(3):
        keys.guest_ring()
        world.run(REFRESH_SECONDS / 3)
    assert len(world.log) == 1
    keys.guest_ring()
    assert len(world.log) == 2


def test_while_ssm_is_away_the_old_keys_go_on(world: World) -> None:
    first = keys.guest_key("a", 1, Direction.TO_GUEST, 1)
    world.run(REFRESH_SECONDS)
    world.faults[2] = Fault.REFUSED
    assert keys.guest_key("a", 1, Direction.TO_GUEST, 1) == first
    assert len(world.log) == 2


def test_content_that_cannot_be_read_does_not_replace_what_is_held(world: World) -> None:
    first = keys.guest_key("a", 1, Direction.TO_GUEST, 1)
    world.put(GUEST_KEYS, {"keys": "torn"})
    world.run(REFRESH_SECONDS)
    assert keys.guest_key("a", 1, Direction.TO_GUEST, 1) == first


def test_a_ring_in_a_log_shows_no_key(world: World) -> None:
    assert repr(keys.guest_ring()) == "KeyRing(versions=[1, 2], current=1)"
    assert str(held(CLOUD, Credential)) == "Credential('coffer')"
