"""Keys derived from the master keys: one per guest and direction, none of them stored.

Everything is HKDF-SHA256 over (purpose, instance, generation) and a version of one of two rings:
one for the guests' messages, one for what the control plane seals for itself. A version that is
newer than what this container holds is looked up; a message of one that is not there yet has to
come again.
"""

from __future__ import annotations

import base64
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chalicelib import aws, parameters
from chalicelib.bus.envelope import KEY_BYTES, MOST_AHEAD, BadSeal, Direction, Header
from chalicelib.bus.keyring import KeyRing
from chalicelib.errors import Unavailable

_NONCE_BYTES: Final = 12


class NotYetKnown(Unavailable):
    """Sealed with a version that this container cannot find yet: not refused, to come again."""


def guest_ring() -> KeyRing:
    """The master keys of the guests' messages."""
    return parameters.held(parameters.GUEST_KEYS, KeyRing)


def guest_key(
    instance_id: str, generation: int, direction: Direction, version: int, epoch: int = 0
) -> bytes:
    """The 32-byte key of one guest and direction; derived each time, which takes 3 µs.

    What a guest sends is sealed for its epoch too: one that it was not given has a key that it
    cannot know. Raises `NotYetKnown`, and `BadSeal` for a version that is retired or cannot exist.
    """
    purpose = f"guest/{instance_id}/{generation}/{direction}/{epoch}"
    return _derive(parameters.GUEST_KEYS, purpose, version)


def key_of(header: Header) -> bytes:
    """The key that a message of a guest says it is sealed with; raises as `guest_key` does."""
    return guest_key(
        header.instance_id, header.generation, header.direction, header.key_version, header.epoch
    )


def protect(purpose: str, context: str, plain: bytes, ring: str = parameters.CONTROL_KEYS) -> str:
    """Encrypt what the control plane keeps for itself, bound to a purpose and a context.

    Used for secrets in operation rows, for enrolment tokens, and with a `ring` of their own for the
    keys of backups; `reveal` reverses it.
    """
    version = parameters.held(ring, KeyRing).current
    nonce = aws.token_bytes(_NONCE_BYTES)
    key = _derive(ring, purpose, version)
    content = AESGCM(key).encrypt(nonce, plain, context.encode())
    return f"{version}." + base64.urlsafe_b64encode(nonce + content).decode()


def reveal(
    purpose: str, context: str, protected: str, ring: str = parameters.CONTROL_KEYS
) -> bytes:
    """The bytes behind `protect`; `BadSeal` when it was changed or meant for something else.

    Raises `NotYetKnown` for one that a newer version has sealed.
    """
    version, _, encoded = protected.partition(".")
    try:
        raw = base64.urlsafe_b64decode(encoded)
        key = _derive(ring, purpose, int(version))
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode())
    except (ValueError, InvalidTag):
        raise BadSeal(f"not a valid {purpose}") from None


def container_key(url: str, version: int) -> str:
    """What the temporary URLs of a tenant's container are signed with, as Swift keeps it there.

    Raises `BadSeal` for a version that is lost, and `NotYetKnown`.
    """
    key = _derive(parameters.CONTAINER_KEYS, f"container/{url}", version)
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def container_ring() -> KeyRing:
    """The master keys of the containers' keys."""
    return parameters.held(parameters.CONTAINER_KEYS, KeyRing)


def _derive(name: str, purpose: str, version: int) -> bytes:
    info = f"coffer/1/{purpose}".encode()
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(_master(name, version))


def _master(name: str, version: int) -> bytes:
    ring = parameters.held(name, KeyRing)
    if ring.newest < version <= ring.newest + MOST_AHEAD:
        ring = parameters.looked_up(name, KeyRing)
        if version > ring.newest:
            raise NotYetKnown(f"Key version {version} is not known here yet.")
    try:
        return ring.keys[version]
    except KeyError:
        raise BadSeal(f"key version {version} is not known") from None
