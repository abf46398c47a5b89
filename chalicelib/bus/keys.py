"""Keys derived from the master key: one per guest and direction, none of them stored.

The master keys live in one encrypted parameter (SSM) that is read once per container. Everything
else is HKDF-SHA256 over (purpose, instance, generation), so that a rotation is a new version.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chalicelib import aws
from chalicelib.bus.envelope import KEY_BYTES, BadSeal, Direction
from chalicelib.settings import settings

_NONCE_BYTES: Final = 12


class Secrets(msgspec.Struct, frozen=True):
    """The content of the secrets parameter; master keys are base64 of 32 bytes, by version."""

    master_keys: dict[str, str]
    current: str
    service_password: str


def secrets() -> Secrets:
    """The deployment's secrets, read once per container (one SSM call)."""
    return aws.remembered("secrets", _read)


def _read() -> Secrets:
    answer = aws.client("ssm").get_parameter(Name=settings().secrets_parameter, WithDecryption=True)
    return msgspec.json.decode(answer["Parameter"]["Value"], type=Secrets)


def current_version() -> int:
    """The key version that new messages are sealed with."""
    return int(secrets().current)


def _derive(purpose: str, version: int) -> bytes:
    try:
        master = base64.b64decode(secrets().master_keys[str(version)])
    except KeyError:
        raise BadSeal(f"key version {version} is not known") from None
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"coffer/1/{purpose}".encode()).derive(master)


def guest_key(instance_id: str, generation: int, direction: Direction, version: int) -> bytes:
    """The 32-byte key of one guest and direction; derived each time, which takes 3 µs."""
    return _derive(f"guest/{instance_id}/{generation}/{direction}", version)


def protect(purpose: str, context: str, plain: bytes) -> str:
    """Encrypt what the control plane keeps for itself, bound to a purpose and a context.

    Used for secrets in operation rows and for enrolment tokens; `reveal` reverses it.
    """
    version = current_version()
    nonce = aws.token_bytes(_NONCE_BYTES)
    content = AESGCM(_derive(purpose, version)).encrypt(nonce, plain, context.encode())
    return f"{version}." + base64.urlsafe_b64encode(nonce + content).decode()


def reveal(purpose: str, context: str, protected: str) -> bytes:
    """The bytes behind `protect`; `BadSeal` when it was changed or meant for something else."""
    version, _, encoded = protected.partition(".")
    try:
        raw = base64.urlsafe_b64decode(encoded)
        key = _derive(purpose, int(version))
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode())
    except (ValueError, InvalidTag):
        raise BadSeal(f"not a valid {purpose}") from None
