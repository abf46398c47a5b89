"""The one message format of the bus, both ways: JSON, versioned, sealed with AES-256-GCM.

A sealed message is a small JSON object: a header in clear that says which key opens it, and the
ciphertext of the envelope. The header is authenticated with it (as additional data), so a message
of one guest, generation or direction cannot pass for another's. There is no plaintext fallback.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chalicelib import aws

VERSION: Final = 1
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
MOST_AHEAD: Final = 2
"""Key versions beyond the newest known one that may exist: a rotation takes longer than a look at
the keys, so one, and one more in an outage. A higher one is a forgery."""
MAX_BODY_BYTES: Final = 256 * 1024  # what consumers accept; SQS itself takes more since 2025


Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""What every store and every language of a guest can hold."""

InstanceId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


MessageId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
"""A command's id is the key of a row."""


class Direction(StrEnum):
    """Which way a message travels; each has a key of its own."""

    TO_GUEST = "to_guest"
    TO_CONTROL = "to_control"


class EnvelopeError(Exception):
    """A message that cannot be accepted; the text names the reason and no content."""


class Malformed(EnvelopeError):
    """Not a sealed envelope at all."""


class UnknownVersion(EnvelopeError):
    """A version this release does not read."""


class TooLarge(EnvelopeError):
    """Over the size limit."""


class BadSeal(EnvelopeError):
    """Tampered with, sealed with another key, or header and content disagree."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in clear and says which key opens the rest; the seal protects it too."""

    v: Number
    direction: Direction
    instance_id: InstanceId
    generation: Number
    epoch: Number
    key_version: Number


class _Sealed(msgspec.Struct, forbid_unknown_fields=True):
    header: Header
    nonce: bytes
    content: bytes


class Fault(msgspec.Struct, frozen=True):
    """Why a command failed: one of the contract's codes and a sentence for the user."""

    code: str
    message: str


class Envelope(msgspec.Struct, kw_only=True):
    """One message. `id` of a result or a progress report is the id of its command.

    `issued_at` and `expires_at` are seconds since the epoch. `seq` grows within (generation,
    epoch); the pair (epoch, seq) is 0 on messages of the control plane.
    `traceparent` is the sender's piece of work in the trace of the command, and `took_ms` how long
    a guest has worked at what it answers: hints for the log, which nothing else believes. Either is
    missing where there is none, and what is none is left alone: it refuses no message.
    """

    v: int = VERSION
    id: MessageId
    instance_id: InstanceId
    generation: Number
    epoch: Number = 0
    seq: Number = 0
    kind: str
    method: str = ""
    args: dict[str, Any] = msgspec.field(default_factory=dict)
    result: dict[str, Any] | None = None
    error: Fault | None = None
    issued_at: float
    expires_at: float
    key_version: Number = 1
    traceparent: Any = msgspec.UNSET
    took_ms: Any = msgspec.UNSET


_HEADER: Final = msgspec.json.Encoder(order="deterministic")
_decode_envelope: Final = msgspec.json.Decoder(Envelope)
_decode_sealed: Final = msgspec.json.Decoder(_Sealed)


def seal(envelope: Envelope, direction: Direction, key: bytes) -> str:
    """The message body for an envelope; `TooLarge` over the limit."""
    header = Header(
        v=envelope.v,
        direction=direction,
        instance_id=envelope.instance_id,
        generation=envelope.generation,
        epoch=envelope.epoch,
        key_version=envelope.key_version,
    )
    nonce = aws.token_bytes(NONCE_BYTES)
    content = AESGCM(key).encrypt(nonce, msgspec.json.encode(envelope), _HEADER.encode(header))
    body = msgspec.json.encode(_Sealed(header=header, nonce=nonce, content=content))
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the message has {len(body)} bytes, {MAX_BODY_BYTES} are allowed")
    return body.decode()


def open_sealed(body: str, direction: Direction, key_of: Callable[[Header], bytes]) -> Envelope:
    """The envelope in a message body; an `EnvelopeError` when it cannot be trusted.

    `key_of` gets the header, not yet verified, and returns the 32-byte key it names; it raises an
    `EnvelopeError` for a key that it does not have.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the message has {len(body)} bytes, {MAX_BODY_BYTES} are allowed")
    try:
        sealed = _decode_sealed.decode(body)
    except (RecursionError, ValueError) as error:  # bad JSON, base64 and text are ValueErrors
        raise Malformed(f"not a sealed envelope ({type(error).__name__})") from None
    header = sealed.header
    if header.v != VERSION:
        raise UnknownVersion(f"version {header.v} is not read by this release")
    if header.direction is not direction:
        raise BadSeal(f"a message {header.direction} was sent the other way")
    if len(sealed.nonce) != NONCE_BYTES:
        raise Malformed("the nonce has the wrong length")
    try:
        cipher = AESGCM(key_of(header))
        plain = cipher.decrypt(sealed.nonce, sealed.content, _HEADER.encode(header))
        envelope = _decode_envelope.decode(plain)
    except InvalidTag:
        raise BadSeal("the seal does not fit the message") from None
    except (RecursionError, ValueError):
        raise Malformed("the sealed content is not an envelope") from None
    if _sender(envelope) != _sender(header):
        raise BadSeal("header and content name different guests")
    return envelope


def _sender(said: Header | Envelope) -> tuple[str, int, int]:
    return said.instance_id, said.generation, said.epoch
