"""What a guest's request over HTTPS has to be: signed with its key, now, and by who has a place."""

from __future__ import annotations

import base64
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chalicelib import aws
from chalicelib.errors import BadRequest, Gone, Unauthorized
from chalicelib.lifecycle import Status
from chalicelib.store import guests, instances
from chalicelib.store.models import Guest, Instance

CLOCK_SKEW_MS: Final = 300_000


def proven(
    instance_id: str,
    generation: int,
    issued_at_ms: int,
    *,
    signature: str,
    text: bytes,
    start: bool = False,
) -> Guest:
    """The enrolled guest that has signed the text at that time, which is the latest one now.

    `start` begins an epoch. Raises `Unauthorized` (unknown guest, signature), `OverLimit` (too
    often), `BadRequest` (time, seen before), `Gone`.
    """
    guest = guests.find(instance_id, generation)
    if guest is None:
        present(instance_id, generation)
        raise Unauthorized("This guest is not enrolled.")
    check_signature(guest.public_key, signature, text)
    guests.require_room(guest)
    present(instance_id, generation)
    check_time(issued_at_ms)
    admit(guest, issued_at_ms, start=start)
    return guest


def admit(guest: Guest, issued_at_ms: int, *, start: bool) -> None:
    """Take a request that its guest has signed; what is refused here costs no write.

    Raises `OverLimit` (too often), `BadRequest` (seen before).
    """
    guests.require_room(guest)
    if issued_at_ms <= guest.issued_at_ms:
        raise seen_before()
    guests.admit(guest, issued_at_ms, start=start)


def present(instance_id: str, generation: int) -> Instance:
    instance = instances.find_instance(instance_id)
    if instance is None or instance.status in (Status.DELETED, Status.SHUTDOWN):
        raise Gone("The instance is gone.")
    if instance.generation != generation:
        raise Gone("This generation of the guest has been superseded.")
    return instance


def check_signature(public_key: str, signature: str, text: bytes) -> None:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
    try:
        key.verify(base64.b64decode(signature, validate=True), text)
    except (ValueError, InvalidSignature):
        raise Unauthorized("The signature does not fit the guest's key.") from None


def check_time(issued_at_ms: int) -> None:
    """The guest corrects its clock by the Date of this refusal, and asks again."""
    if abs(aws.clock() * 1000 - issued_at_ms) > CLOCK_SKEW_MS:
        raise BadRequest("The request was issued at another time; correct the clock offset.")


def seen_before() -> BadRequest:
    """No 409, which tells a guest that its place is taken: the holder asks again, and is let in."""
    return BadRequest("The request was seen before; sign it with a later time.")
