"""What a guest needs of the object store: asked for with its key, for one backup, while it is due.

    its instance is making that backup        write below its location, its key
    its instance is restored from that one    read the object of one that was imported; else
                                              below the chain's, the keys of the chain; and
                                              below the archive's and its key, to a moment
    its instance tries that one out           read below the chain's, the keys of the chain
    its instance wants that archive           write below its location, its key
    anything else                             410

The credentials end within the hour, and are asked for again: what goes back or has ended lends
nothing any more. In a container of the tenant's they are signatures of temporary URLs, of minutes:
to write, a guest says in which attempt, which the row knows before it is answered.
"""

from __future__ import annotations

import base64
import logging
from typing import Annotated, Any, ClassVar, Final

import msgspec

from chalicelib import aws, containers, crash, objects, tracing
from chalicelib.bus import proofs
from chalicelib.bus.contract import pieces
from chalicelib.bus.contract.manifest import Attempt
from chalicelib.bus.contract.values import BackupId
from chalicelib.bus.envelope import BadSeal, InstanceId, Number
from chalicelib.conductor import data_keys
from chalicelib.conductor.lending import Credentials, lend
from chalicelib.conductor.proving import proven
from chalicelib.domain import attempts, imports
from chalicelib.domain.archives import State, is_open
from chalicelib.domain.containers import Container
from chalicelib.domain.imports import Imported
from chalicelib.domain.operations import OperationAction
from chalicelib.errors import Gone, Unavailable
from chalicelib.settings import settings
from chalicelib.status import BackupStatus
from chalicelib.store import archives, backups, instances, making_backups
from chalicelib.store.base import ConditionFailed
from chalicelib.store.models import Archive, Backup, Instance, Operation
from chalicelib.store.operations import get_operation

OPENING_SECONDS: Final = 8.0
"""For the keys of a chain: with a last one that takes long, less than the 29 s of a request."""
OVER: Final = "No operation of the instance needs that backup now."
LOST_KEY: Final = "The tables were restored, and the key of what it has sent is lost."
OVERTAKEN: Final = "Another attempt at that backup has begun, or there were too many."

log = logging.getLogger(__name__)


class Ask(msgspec.Struct, frozen=True):
    """Body of POST /guest/v1/storage, signed with the enrolled key over `proofs.of_storage`.

    `backup_id` may be an archive's.
    """

    EXAMPLES: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "instance_id": "41c17c74-6146-4d87-b45c-4c23c3a89f15",
            "generation": 1,
            "issued_at_ms": 1795728263512,
            "backup_id": "8f2d1f0e-0d4c-4b57-9d39-0c1cbb1b6f0a",
            "signature": "c2lnbmF0dXJl",
        },
    )

    instance_id: InstanceId
    generation: Number
    issued_at_ms: Number
    backup_id: BackupId
    signature: str
    attempt: Attempt | None = None


class LentContainer(msgspec.Struct, frozen=True):
    """Signatures of temporary URLs below a prefix, by method, and when they end.

    Who is to write and has not said in which attempt gets none.
    """

    url: str
    prefix: str
    signatures: dict[str, str]
    expires_at: int


class LentObject(msgspec.Struct, frozen=True):
    """A temporary URL to read an object by that was imported, and when it ends."""

    url: str
    expires_at: int


class Storage(msgspec.Struct, frozen=True):
    """What a guest gets: the place, credentials for it, and the keys of the backups (base64).

    Without an `endpoint` it is the region's own. `writes`: it may write one, else read them. With
    a `container` they lie there, each in the attempt that is named. An `object` is all of a backup
    that was imported.
    """

    writes: bool
    keys: dict[str, str]
    bucket: str | None = None
    region: str | None = None
    endpoint: str | None = None
    credentials: Credentials | None = None
    container: LentContainer | None = None
    attempts: dict[str, str] | None = None
    object: LentObject | None = None


def storage(body: Ask) -> Storage:
    """What the guest needs for that backup now.

    Raises as `proving.proven` does, `Gone` when no live operation is about it, and `Unavailable`
    when what has sealed its key is not there: KMS is away, or an operator may put back a ring.
    """
    with crash.scope("storage"), tracing.span(log, "storage") as span:
        span.tell(instance_id=body.instance_id, generation=body.generation)
        text = proofs.of_storage(
            body.instance_id, body.generation, body.issued_at_ms, body.backup_id, body.attempt
        )
        proven(
            body.instance_id,
            body.generation,
            body.issued_at_ms,
            signature=body.signature,
            text=text,
        )
        instance = instances.find_instance(body.instance_id)
        if instance is not None and instance.archive_id == body.backup_id:
            return _for_archive(body, instance)
        row = backups.find_backup(body.backup_id)
        live = _about(instance, body.backup_id)
        if row is None or live is None or row.tenant_id != live.tenant_id:
            raise Gone(OVER)
        if (found := imports.known(row.imported)) is not None:
            return Storage(writes=False, keys={}, object=_object(row, found))
        writes = live.action == OperationAction.CREATE_BACKUP
        if writes and row.status == BackupStatus.NEW:
            row = making_backups.begin(row, live, data_keys.new_key(data_keys.owner_of(row)))
        needed = [row] if writes else backups.chain_of(row)
        opens = _keys(needed)
        if (place := backups.container_of(row)) is not None:
            lent = _to_write(row, place, body.attempt) if writes else _to_read(row, place)
            known = {} if writes else {each.id: _attempt_of(each) for each in needed}
            return Storage(writes=writes, keys=opens, container=lent, attempts=known)
        replayed = None if writes else _replayed(live)
        allowed = session_policy(row, writes=writes, behind=replayed)
        if replayed is not None and replayed.sealed_key is not None:  # else nothing was sent yet
            opens[replayed.id] = _key(replayed)
        return _in_bucket(body, allowed, opens, writes=writes)


def _in_bucket(
    body: Ask, allowed: dict[str, Any], keys_of: dict[str, str], *, writes: bool
) -> Storage:
    return Storage(
        bucket=settings().backups_bucket,
        region=settings().region,
        endpoint=settings().guest_endpoint_url or None,
        writes=writes,
        credentials=lend(body.instance_id, body.generation, allowed),
        keys=keys_of,
    )


def _for_archive(body: Ask, instance: Instance) -> Storage:
    """For the archive that an instance's log is wanted for."""
    row = archives.find_archive(body.backup_id)
    if row is None or row.state == State.ENDED or row.instance_id != instance.id:
        raise Gone(OVER)
    if row.sealed_key is None:
        _require_empty(row)
        row = archives.seal(row, data_keys.new_key(data_keys.owner_of(row)))
    allowed = _policy([("s3:PutObject", row.location)])
    return _in_bucket(body, allowed, {row.id: _key(row)}, writes=True)


def _require_empty(row: Archive) -> None:
    """An archive without a key, of which pieces lie there, had one: a restored table lacks it.

    Nobody could open those before, so it ends, and another one begins.
    """
    if not objects.page(row.location).sizes:
        return
    try:
        archives.end(row, LOST_KEY, empty=False)
    except ConditionFailed:
        raise Unavailable("The log's archive is being changed by others; try again.") from None
    raise Gone(OVER)


def _replayed(live: Operation) -> Archive | None:
    """The archive that a restore to a moment replays; `Gone` when it is not there any more."""
    asked = (live.arguments or {}).get("log")
    if asked is None:
        return None
    row = archives.find_archive(asked["archive"])
    if row is None or row.tenant_id != live.tenant_id or not is_open(row):
        raise Gone(OVER)
    return row


def _to_write(row: Backup, place: Container, attempt: str | None) -> LentContainer:
    """What is needed to write below one attempt, once the row tells of it.

    Raises `Gone` when it is not the newest one any more: it ends with what it was lent before.
    """
    if attempt is None:
        return LentContainer(place.url, "", {}, 0)
    expires = aws.clock() + containers.LENT_SECONDS
    extended = attempts.extended(attempts.of(row.attempts), attempt, expires)
    if extended is None:
        raise Gone(OVERTAKEN)
    if not making_backups.lend(row, extended):
        raise Unavailable("The backup is being changed by others at the moment; try again.")
    return _lent(place, f"{row.location}/{attempt}/", "PUT", expires)


def _to_read(row: Backup, place: Container) -> LentContainer:
    chain, _, _ = row.location.rpartition("/")
    return _lent(place, f"{chain}/", "GET", aws.clock() + containers.LENT_SECONDS)


def _object(row: Backup, found: Imported) -> LentObject:
    """Of that object alone: what lies beside it is its tenant's."""
    place = backups.container_of(row)
    assert place is not None, "what was imported lies in a container"
    expires = int(aws.clock() + containers.LENT_SECONDS)
    try:
        return LentObject(containers.url_of(place, "GET", found.key, expires), expires)
    except containers.Refused as error:
        raise Unavailable(f"The backup cannot be reached: {error}.") from None


def _lent(place: Container, prefix: str, method: str, expires: float) -> LentContainer:
    try:
        signed = containers.signature(place, method, prefix, int(expires))
    except containers.Refused as error:
        raise Unavailable(f"The backup cannot be reached: {error}.") from None
    return LentContainer(place.url, prefix, {method: signed}, int(expires))


def _attempt_of(row: Backup) -> str:
    known = attempts.of(row.attempts)
    if not known:
        raise Gone(OVER)
    return known[-1].id


def _about(instance: Instance | None, backup_id: str) -> Operation | None:
    """The live operation of an instance that is about a backup, and goes forward."""
    live = _live(instance, _ACTIONS)
    about = (live.arguments or {}).get("backup") if live is not None else None
    return live if about == backup_id else None


def _live(instance: Instance | None, actions: tuple[OperationAction, ...]) -> Operation | None:
    """The live operation of an instance, if it is one of those and goes forward."""
    if instance is None or instance.operation_id is None:
        return None
    live = get_operation(instance.operation_id)
    if live is None or live.live is None or live.cancelled or live.compensating:
        return None
    return live if live.action in actions else None


_ACTIONS: Final = (
    OperationAction.CREATE_BACKUP,
    OperationAction.RESTORE,
    OperationAction.VERIFY_BACKUP,
)


def session_policy(row: Backup, *, writes: bool, behind: Archive | None = None) -> dict[str, Any]:
    """What the credentials allow: to write below the backup's location, or to read its chain's, and
    the log that goes on behind it."""
    if writes:
        return _policy([("s3:PutObject", row.location)])
    chain, _, _ = row.location.rpartition("/")
    places = [chain, behind.location] if behind is not None else [chain]
    return _policy([("s3:GetObject", place) for place in places])


def _policy(allowed: list[tuple[str, str]]) -> dict[str, Any]:
    """A call each below a place."""
    partition, bucket = settings().guest_role_arn.split(":")[1], settings().backups_bucket
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": action,
                "Resource": f"arn:{partition}:s3:::{bucket}/{place}/*",
            }
            for action, place in allowed
        ],
    }


Behind = Annotated[str, msgspec.Meta(max_length=objects.MOST_KEY)]
"""A name, of a piece or of anything else, or what stands between two (`contract.pieces.after`)."""


class AskPieces(msgspec.Struct, frozen=True):
    """Body of POST /guest/v1/pieces, signed with the enrolled key over `proofs.of_pieces`."""

    EXAMPLES: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "instance_id": "41c17c74-6146-4d87-b45c-4c23c3a89f15",
            "generation": 1,
            "issued_at_ms": 1795728263512,
            "archive_id": "8f2d1f0e-0d4c-4b57-9d39-0c1cbb1b6f0a",
            "behind": "000000000120.~",
            "signature": "c2lnbmF0dXJl",
        },
    )

    instance_id: InstanceId
    generation: Number
    issued_at_ms: Number
    archive_id: BackupId
    behind: Behind
    signature: str


class Pieces(msgspec.Struct, frozen=True):
    """The next names of pieces behind one; `next` is what to ask for then, None at the end. What is
    none's is left out: whoever has written there once may have written anything."""

    names: list[str]
    next: str | None


def list_pieces(body: AskPieces) -> Pieces:
    """Which pieces lie in the store, of the archive that the guest's instance is restored from.

    Raises as `storage` does. The guest finds among them those that lead to the head it was told.
    """
    with crash.scope("pieces"), tracing.span(log, "pieces") as span:
        span.tell(instance_id=body.instance_id, generation=body.generation)
        proven(
            body.instance_id,
            body.generation,
            body.issued_at_ms,
            signature=body.signature,
            text=proofs.of_pieces(
                body.instance_id,
                body.generation,
                body.issued_at_ms,
                body.archive_id,
                body.behind,
            ),
        )
        instance = instances.find_instance(body.instance_id)
        live = _live(instance, (OperationAction.RESTORE,))
        row = _replayed(live) if live is not None else None
        if row is None or row.id != body.archive_id:
            raise Gone(OVER)
        before = f"{row.location}/"
        page = objects.page(row.location, before + body.behind)
        names = [key.removeprefix(before) for key in page.sizes]
        following = page.after.removeprefix(before) if page.after is not None else None
        return Pieces([each for each in names if pieces.parsed(each)], following)


def _keys(rows: list[Backup]) -> dict[str, str]:
    """The keys of a chain, each by the id of its backup."""
    until = aws.monotonic() + OPENING_SECONDS
    found: dict[str, str] = {}
    for row in rows:
        if aws.monotonic() >= until:
            raise Unavailable("The keys of the chain cannot be opened in time; try again.")
        found[row.id] = _key(row)
    return found


def _key(row: Backup | Archive) -> str:
    if row.sealed_key is None:
        raise Gone(OVER)
    owner = data_keys.owner_of(row)
    try:
        plain = data_keys.opened(owner, row.sealed_key)
    except BadSeal:
        raise Unavailable(f"The key of {owner} cannot be opened with what there is.") from None
    return base64.b64encode(plain).decode()
