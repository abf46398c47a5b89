"""How a guest is let in: a token for one (instance, generation), a key pair, a signed renewal.

The token came with the server's user data. Both requests are signed with the guest's private key,
at a time that has to grow. The first key and server that enrol are bound to the generation for
good; the same pair may repeat it, so a guest that lost the answer asks again.
What a guest gets: the keys of its own messages, and AWS credentials of at most an hour that can
receive on its own queue and send to the conductor's two. A stolen guest speaks for itself alone.
"""

from __future__ import annotations

import base64
import logging
from typing import Any, ClassVar, Final

import msgspec

from chalicelib import aws, crash, tracing
from chalicelib.bus import keys, proofs, queues
from chalicelib.bus.contract.arguments import Archive as ToldArchive
from chalicelib.bus.envelope import BadSeal, Direction, InstanceId, Number
from chalicelib.conductor import readmission, refusals
from chalicelib.conductor.lending import Credentials, lend
from chalicelib.conductor.logs_archived import as_told
from chalicelib.conductor.proving import admit, check_signature, check_time, present, proven
from chalicelib.domain.flows import ENROLLING
from chalicelib.errors import BadRequest, Conflict, Unauthorized
from chalicelib.metrics import LOG_GAPS
from chalicelib.settings import settings
from chalicelib.store import archives, guests, instances
from chalicelib.store.base import ConditionFailed
from chalicelib.store.models import Guest, Instance

PURPOSE: Final = "enrolment token"
PUBLIC_KEY_BYTES: Final = 32
REFUSED_SECONDS: Final = 10
"""So often it is recorded that somebody was refused, however often it asks."""

log = logging.getLogger(__name__)


class Token(msgspec.Struct, frozen=True):
    """What an enrolment token vouches for; `expires_at` is the deadline of the operation."""

    instance_id: str
    generation: int
    expires_at: float
    traceparent: str | None = None
    """Of the step that has made it: the enrolment is a part of that operation's trace."""


class Enrol(msgspec.Struct, frozen=True):
    """Body of POST /guest/v1/enrol, signed with the key that enrols.

    `public_key` is base64 of a raw Ed25519 key, `signature` of one over `proofs.of_enrolment`.
    """

    EXAMPLES: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "token": "the text of the server's user data",
            "public_key": "BP9WZ5oOnF+JRBR9hF3kzhhnPvT6DZDZmSdAWdY6BOI=",
            "server_id": "f2b1a0d4-3c59-4c9e-8a52-5b7d8a1b6c3e",
            "issued_at_ms": 1795728263512,
            "signature": "c2lnbmF0dXJl",
        },
    )

    token: str
    public_key: str
    server_id: str
    issued_at_ms: Number
    signature: str


class Renew(msgspec.Struct, frozen=True):
    """Body of POST /guest/v1/renew, signed with the enrolled key. `start` asks for a new epoch."""

    EXAMPLES: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "instance_id": "41c17c74-6146-4d87-b45c-4c23c3a89f15",
            "generation": 1,
            "issued_at_ms": 1795728263512,
            "start": True,
            "signature": "c2lnbmF0dXJl",
        },
    )

    instance_id: InstanceId
    generation: Number
    issued_at_ms: Number
    start: bool
    signature: str


class GuestQueues(msgspec.Struct, frozen=True):
    """The URLs of the queues that a guest reads and writes."""

    guest: str
    conductor: str
    heartbeats: str


class Admission(msgspec.Struct, frozen=True):
    """What a guest gets that is let in.

    `keys` are those of its messages, by their direction; `other_keys` open commands that were
    sealed before a rotation, and those of the next one. `archive` is where its log is to be sent.
    """

    instance_id: str
    generation: int
    epoch: int
    key_version: int
    keys: dict[str, str]
    other_keys: dict[str, str]
    credentials: Credentials
    queues: GuestQueues
    heartbeat_seconds: int
    archive: ToldArchive | None = None


def new_token(instance_id: str, generation: int, expires_at: float) -> str:
    """A token for a server's user data."""
    token = Token(instance_id, generation, expires_at, tracing.traceparent())
    vouched = msgspec.json.encode(token)
    return keys.protect(PURPOSE, "", vouched)


def enrol(body: Enrol, request_id: str | None = None) -> Admission:
    """Bind key and server to the generation and answer with keys and credentials.

    Raises `BadRequest` (form; time, seen before), `Unauthorized` (token, signature), `OverLimit`
    (too often), `Gone`, and `Conflict`: another key or server holds the generation. What a server
    is worth that has lost its disk says `readmission`.
    """
    with crash.scope("enrol"):
        _check_public_key(body.public_key)
        _check_server_id(body.server_id)
        token = _open_token(body.token)
        _check_proof(body)
        check_time(body.issued_at_ms)
        instance = present(token.instance_id, token.generation)
        if instance.status not in ENROLLING:
            raise readmission.refuse(instance, body.public_key, body.server_id, request_id)
        with tracing.span(log, "enrolment", tracing.parse(token.traceparent)) as span:
            span.tell(instance_id=token.instance_id, generation=token.generation)
            guest = _bind(instance, body, token)
        return _admission(guest)


def _bind(instance: Instance, body: Enrol, token: Token) -> Guest:
    """The guest that has the generation now: it was nobody's, or its holder asks again."""
    if token.expires_at < aws.clock():
        raise Unauthorized("The enrolment token has expired.")
    holder = guests.find(instance.id, token.generation)
    if holder is None:
        try:
            return guests.bind(
                instance.id, token.generation, body.public_key, body.server_id, body.issued_at_ms
            )
        except ConditionFailed:
            holder = guests.find(instance.id, token.generation)
    if holder and (holder.public_key, holder.server_id) == (body.public_key, body.server_id):
        admit(holder, body.issued_at_ms, start=True)
        return holder
    if holder is None or guests.note_stranger(holder, REFUSED_SECONDS):
        refusals.record(instance, token.generation, body.server_id)
    raise Conflict("This generation is enrolled with another key or server.")


def renew(body: Renew) -> Admission:
    """Check the signature and answer with fresh credentials, and a new epoch when it starts.

    Raises as `proving.proven` does.
    """
    with crash.scope("renew"):
        text = proofs.of_renewal(body.instance_id, body.generation, body.issued_at_ms, body.start)
        guest = proven(
            body.instance_id,
            body.generation,
            body.issued_at_ms,
            signature=body.signature,
            text=text,
            start=body.start,
        )
        return _admission(guest)


def _open_token(text: str) -> Token:
    try:
        return msgspec.json.decode(keys.reveal(PURPOSE, "", text), type=Token)
    except BadSeal:
        raise Unauthorized("The enrolment token is not valid.") from None


def _check_public_key(encoded: str) -> None:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise BadRequest("public_key is not base64.") from None
    if len(raw) != PUBLIC_KEY_BYTES:
        raise BadRequest("public_key is not a raw Ed25519 key of 32 bytes.")


def _check_server_id(server_id: str) -> None:
    """It is quoted to users, so it holds nothing that a terminal would act on."""
    if not 0 < len(server_id) <= 64 or not server_id.isascii() or not server_id.isprintable():
        raise BadRequest("server_id is not a server's id.")


def _check_proof(body: Enrol) -> None:
    """A public key is no secret: only its owner may bind it."""
    text = proofs.of_enrolment(body.token, body.public_key, body.server_id, body.issued_at_ms)
    check_signature(body.public_key, body.signature, text)


def _admission(guest: Guest) -> Admission:
    instance_id, generation, epoch = guest.instance_id, int(guest.generation), int(guest.epoch)
    ring, chosen = keys.guest_ring(), settings()

    def key(direction: Direction, version: int, epoch: int = 0) -> str:
        found = keys.guest_key(instance_id, generation, direction, version, epoch)
        return base64.b64encode(found).decode()

    return Admission(
        instance_id=instance_id,
        generation=generation,
        epoch=epoch,
        key_version=ring.current,
        keys={
            str(Direction.TO_GUEST): key(Direction.TO_GUEST, ring.current),
            str(Direction.TO_CONTROL): key(Direction.TO_CONTROL, ring.current, epoch),
        },
        other_keys={
            str(version): key(Direction.TO_GUEST, version)
            for version in ring.keys
            if version != ring.current
        },
        credentials=lend(instance_id, generation, session_policy(instance_id, generation)),
        queues=GuestQueues(
            guest=queues.guest_queue_url(instance_id, generation),
            conductor=chosen.conductor_queue_url,
            heartbeats=chosen.heartbeats_queue_url,
        ),
        heartbeat_seconds=chosen.heartbeat_seconds,
        archive=_archive_of(instance_id),
    )


def _archive_of(instance_id: str) -> ToldArchive | None:
    """What the log of an instance is wanted for now, as its guest is told of it."""
    instance = instances.find_instance(instance_id)
    if instance is None:
        return None
    row, span = archives.present(instance), tracing.current()
    if row is not None and row.id != instance.archive_id and span is not None:
        span.measure(LOG_GAPS, 1)
    return as_told(row)


def session_policy(instance_id: str, generation: int) -> dict[str, Any]:
    """What a guest's credentials allow: its own queue, and sending to the conductor's two."""
    prefix = settings().guest_queue_arn_prefix
    account = prefix.rpartition(":")[0]
    own = f"{prefix}{instance_id}-{generation}"
    others = [
        f"{account}:{url.rsplit('/', 1)[1]}"
        for url in (settings().conductor_queue_url, settings().heartbeats_queue_url)
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "sqs:ReceiveMessage",
                    "sqs:DeleteMessage",
                    "sqs:ChangeMessageVisibility",
                ],
                "Resource": own,
            },
            {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": others},
        ],
    }
