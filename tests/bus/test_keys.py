"""Keys: one per guest and direction, and what the control plane seals for itself."""

from __future__ import annotations

import base64
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib import aws
from chalicelib.bus import keys
from chalicelib.bus.envelope import BadSeal, Direction
from tests.support.world import World

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
    except BadSeal:
        assert changed != protected


@shared_world
@given(st.text())
def test_any_other_text_is_refused_as_one_kind_of_error(world: World, protected: str) -> None:
    with pytest.raises(BadSeal):
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
        for parts in itertools.product(["a", "b"], [1, 2, 11], list(Direction), [1, 2])
    ]
    assert len(set(made)) == len(made)
    assert {len(key) for key in made} == {32}


def test_a_key_is_the_same_in_every_process(world: World) -> None:
    first = keys.guest_key("a", 1, Direction.TO_GUEST, 1)
    aws.forget("secrets")
    assert keys.guest_key("a", 1, Direction.TO_GUEST, 1) == first


def test_a_version_that_is_not_known_is_a_bad_seal(world: World) -> None:
    with pytest.raises(BadSeal, match="version 9"):
        keys.guest_key("a", 1, Direction.TO_GUEST, 9)


def test_after_a_rotation_the_old_version_still_opens(world: World) -> None:
    before = keys.protect("purpose", "", b"old")
    world.ssm.value["current"] = "2"
    aws.forget("secrets")
    assert keys.protect("purpose", "", b"new").startswith("2.")
    assert keys.reveal("purpose", "", before) == b"old"


def test_the_secrets_are_read_once_in_a_container(world: World) -> None:
    for _ in range(3):
        keys.current_version()
    assert world.log == ["ssm.get_parameter"]


def test_header_names_of_strangers_do_not_fill_the_memory(world: World) -> None:
    for number in range(50):
        keys.guest_key(f"stranger-{number}", 1, Direction.TO_CONTROL, 1)
    assert set(world.memory()) == {"secrets", "settings"}


def test_master_keys_are_base64(world: World) -> None:
    assert base64.b64decode(keys.secrets().master_keys["1"]) == bytes([1]) * 32
