"""The envelope: what was sealed is what is opened, and nothing else opens."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.bus import envelope as module
from chalicelib.bus.envelope import (
    BadSeal,
    Direction,
    Envelope,
    EnvelopeError,
    Fault,
    Header,
    Malformed,
    TooLarge,
    UnknownVersion,
    open_sealed,
    seal,
)

KEY = bytes(range(32))
OTHER_KEY = bytes(32)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.integers(0, 2**53)
documents: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
maps = st.dictionaries(text, documents, max_size=4)
envelopes = st.builds(
    Envelope,
    id=text.filter(bool),
    instance_id=text.filter(bool),
    generation=numbers,
    epoch=numbers,
    seq=numbers,
    kind=text,
    method=text,
    args=maps,
    result=st.none() | maps,
    error=st.none() | st.builds(Fault, code=text, message=text),
    issued_at=st.floats(0, 1e12),
    expires_at=st.floats(0, 1e12),
    key_version=numbers,
)
directions = st.sampled_from(Direction)


def opened(body: str, direction: Direction = Direction.TO_GUEST, key: bytes = KEY) -> Envelope:
    return open_sealed(body, direction, lambda _: key)


def a_command(**changes: Any) -> Envelope:
    fields: dict[str, Any] = {
        "id": "command-1",
        "instance_id": "instance-1",
        "generation": 3,
        "kind": "command",
        "method": "list_users",
        "issued_at": 1.0,
        "expires_at": 2.0,
    }
    return Envelope(**(fields | changes))


def test_an_attribute_of_another_release_is_left_out() -> None:
    sent = {**msgspec.to_builtins(a_command()), "of_a_later_release": {"v": 1}}
    assert msgspec.json.decode(msgspec.json.encode(sent), type=Envelope) == a_command()


@pytest.mark.parametrize("said", [None, 7, "00-trace", ["00"], {"trace": {}}, "x" * 300])
def test_what_is_no_trace_refuses_no_message(said: object) -> None:
    body = seal(a_command(traceparent=said, took_ms=said), Direction.TO_GUEST, KEY)
    assert opened(body).traceparent == said


def test_a_message_without_a_trace_is_as_long_as_ever() -> None:
    assert not {"traceparent", "took_ms"} & set(msgspec.to_builtins(a_command()))


@given(envelopes, directions)
def test_an_envelope_comes_back_as_it_was(envelope: Envelope, direction: Direction) -> None:
    assert opened(seal(envelope, direction, KEY), direction) == envelope


@given(envelopes, directions)
def test_the_header_names_the_key_and_nothing_else_is_in_clear(
    envelope: Envelope, direction: Direction
) -> None:
    body = json.loads(seal(envelope, direction, KEY))
    assert set(body) == {"header", "nonce", "content"}
    assert body["header"] == {
        "v": 1,
        "direction": direction,
        "instance_id": envelope.instance_id,
        "generation": envelope.generation,
        "epoch": envelope.epoch,
        "key_version": envelope.key_version,
    }


@given(st.data())
def test_a_body_with_a_changed_character_is_refused_or_means_the_same(data: st.DataObject) -> None:
    envelope = a_command()
    body = seal(envelope, Direction.TO_GUEST, KEY)
    place = data.draw(st.integers(0, len(body) - 1))
    changed = data.draw(st.characters().filter(lambda character: character != body[place]))
    try:
        found = opened(body[:place] + changed + body[place + 1 :])
    except EnvelopeError:
        return
    assert found == envelope


@given(st.data())
def test_a_flipped_bit_of_nonce_or_content_breaks_the_seal(data: st.DataObject) -> None:
    document = json.loads(seal(a_command(), Direction.TO_GUEST, KEY))
    field = data.draw(st.sampled_from(["nonce", "content"]))
    raw = bytearray(base64.b64decode(document[field]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    document[field] = base64.b64encode(raw).decode()
    with pytest.raises(BadSeal):
        opened(json.dumps(document))


@given(st.data())
def test_a_changed_header_breaks_the_seal(data: st.DataObject) -> None:
    """The tampered body is opened with the right key: the header itself is authenticated."""
    document = json.loads(seal(a_command(), Direction.TO_GUEST, KEY))
    field = data.draw(st.sampled_from(["instance_id", "generation", "epoch", "key_version"]))
    strategy = text.filter(bool) if field == "instance_id" else numbers
    document["header"][field] = data.draw(
        strategy.filter(lambda value: value != document["header"][field])
    )
    with pytest.raises(BadSeal):
        opened(json.dumps(document))


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_other_text_is_no_envelope(body: str) -> None:
    with pytest.raises(EnvelopeError):
        opened(body)


@given(st.dictionaries(st.sampled_from(["header", "nonce", "content", "more"]), documents))
def test_any_other_document_is_no_envelope(document: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        opened(json.dumps(document))


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(BadSeal):
        opened(seal(a_command(), Direction.TO_GUEST, KEY), key=OTHER_KEY)


def test_a_message_sent_back_the_other_way_is_refused() -> None:
    with pytest.raises(BadSeal):
        opened(seal(a_command(), Direction.TO_GUEST, KEY), Direction.TO_CONTROL)


@pytest.mark.parametrize("version", [0, 2, 77])
def test_another_version_is_told_apart_from_a_bad_seal(version: int) -> None:
    with pytest.raises(UnknownVersion, match=str(version)):
        opened(seal(a_command(v=version), Direction.TO_GUEST, KEY))


def test_too_large_is_refused_by_the_sender_and_by_the_receiver() -> None:
    large = a_command(args={"text": "x" * module.MAX_BODY_BYTES})
    with pytest.raises(TooLarge):
        seal(large, Direction.TO_GUEST, KEY)
    with pytest.raises(TooLarge):
        opened("x" * (module.MAX_BODY_BYTES + 1))
    with pytest.raises(EnvelopeError) as as_large_as_may_be:
        opened("x" * module.MAX_BODY_BYTES)
    assert as_large_as_may_be.type is not TooLarge


def test_what_fits_is_sent_whole() -> None:
    fitting = a_command(args={"text": "x" * (module.MAX_BODY_BYTES * 5 // 7)})
    assert opened(seal(fitting, Direction.TO_GUEST, KEY)) == fitting


def test_the_key_ring_may_refuse_a_key() -> None:
    def no_key(header: Header) -> bytes:
        raise BadSeal(f"no key version {header.key_version}")

    with pytest.raises(BadSeal, match="no key version 1"):
        open_sealed(seal(a_command(), Direction.TO_GUEST, KEY), Direction.TO_GUEST, no_key)


def sealed_text(content: bytes) -> str:
    """Any text under a right seal: what a guest with its own key could send."""
    document = json.loads(seal(a_command(), Direction.TO_GUEST, KEY))
    header = msgspec.convert(document["header"], Header)
    nonce = base64.b64decode(document["nonce"])
    raw = AESGCM(KEY).encrypt(
        nonce, content, msgspec.json.Encoder(order="deterministic").encode(header)
    )
    return json.dumps({**document, "content": base64.b64encode(raw).decode()})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"id": "1"}',
        b'{"args": ' + b'{"a":' * 5_000,
        b'{"id":"1","instance_id":"instance-1","generation":3,"kind":"k","issued_at":1,'
        b'"expires_at":2,"args":{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}}",
        b'{"id":"1","instance_id":"instance-1","generation":' + b"9" * 40 + b',"kind":"k",'
        b'"issued_at":1,"expires_at":2}',
        b'{"id":"1","instance_id":"instance-1","generation":3,"seq":-1,"kind":"k",'
        b'"issued_at":1,"expires_at":2}',
    ],
    ids=["empty", "list", "no text", "incomplete", "deep", "deeper", "huge number", "negative"],
)
def test_a_well_sealed_content_that_is_no_envelope_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        opened(sealed_text(content))


def test_content_for_another_guest_under_the_header_of_this_one_is_refused() -> None:
    other = msgspec.json.encode(a_command(instance_id="instance-2"))
    with pytest.raises(BadSeal):
        opened(sealed_text(other))
