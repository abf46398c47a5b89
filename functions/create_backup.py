"""The flow `create_backup`: the guest copies its data to the object store, and that is looked at.

    copy ──▶ check: manifest as it was said? each part as in there? no other ones? ──▶ COMPLETED
      └ failed, cancelled, late ──▶ discard: guest told, what it has sent removed ──▶ FAILED

The guest writes to the store with credentials of its own (`chalicelib.conductor.storage`), which
are no longer given out when the operation goes back.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chalicelib import aws, containers, objects
from chalicelib.bus import contract
from chalicelib.bus.contract import arguments, manifest
from chalicelib.bus.contract.answers import BackedUp
from chalicelib.domain import archives as log_rules
from chalicelib.domain import imports
from chalicelib.domain.backups import GIB, bandwidth
from chalicelib.domain.operations import command_id
from chalicelib.settings import settings
from chalicelib.status import BackupStatus
from chalicelib.store import archives, backups, instances, making_backups
from chalicelib.store import commands as rows
from chalicelib.store.base import as_dict
from chalicelib.store.models import Backup, Instance, Operation
from functions import container_objects, removing_objects
from functions.asking import ask, ask_by_polls
from functions.outcomes import Done, Failed, Outcome, Wait, not_yet

GONE: Final = "The backup's row is not there any more."
PAGES_AT_ONCE: Final = 20
"""Pages of keys in one look, of 16 GB each: within a step's function."""
MOST_VOLUMES: Final = 4
SPARE_BYTES: Final = 16 * GIB
"""What a backup may have at most: so often its instance's volume, for all that is written while it
is made, and that. A guest that was broken into could send more without an end."""
MOST_ATTEMPTS: Final = 20
SPARE_OBJECTS: Final = 1000
"""What may lie beside a backup: so often its own parts, of agents that died, and that."""
HEARS_SECONDS: Final = 20.0
"""So long a guest has to stop what it was told to."""

log = logging.getLogger(__name__)


def copy(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest for it."""
    row = _backup(operation)
    if row is None:
        return Failed(GONE)
    there = [each for each in backups.chain_of(row)[:-1] if each.status == BackupStatus.COMPLETED]
    lost = set(row.parents) - {each.id for each in there}
    if lost:  # or is going, since just before it was accepted
        return Failed(f"Backup {min(lost)}, which it builds on, is not there any more.")
    parent = there[-1] if there else None
    wanted = arguments.CreateBackup(
        id=row.id,
        location=row.location,
        parent=stored(parent) if parent is not None else None,
        bandwidth=bandwidth(settings().backup_bytes_per_second),
    )
    return ask(operation, token, "copy", contract.CREATE_BACKUP, lambda _: wanted)


def stored(row: Backup) -> arguments.StoredBackup:
    """A complete backup as a guest is told of it."""
    return arguments.StoredBackup(
        id=row.id,
        location=row.location,
        checksum=str(row.checksum),
        position=row.position or "",
        imported=_as_told(row),
    )


def _as_told(row: Backup) -> arguments.ImportedObject | None:
    found = imports.known(row.imported)
    if found is None:
        return None
    return arguments.ImportedObject(size=found.size, etag=found.etag, large=found.large)


class Looked(msgspec.Struct):
    """How far its objects were looked at, and how many of them there were; `again`: the page behind
    `after` has more that goes."""

    parts: int = 0
    strays: int = 0
    after: str | None = None
    again: bool = False


def check(operation: Operation, _: str | None) -> Outcome:
    """Compare each part in the store with what the guest has said, and remove what it began and did
    not finish."""
    row, said = _backup(operation), _said(operation)
    if row is None or said is None:
        return Failed(GONE if row is None else "What the guest agent has answered is not known.")
    if row.container_url is not None:
        return _check_in_container(operation, row, said)
    described = manifest.key_of(row.location, said.checksum)
    try:
        content = objects.read(described, manifest.MOST_BYTES)
        told = manifest.opened(content, said.checksum)
    except (objects.NotStored, ValueError) as error:
        return Failed(f"The backup is not whole in the object store: {error}.")
    if too_large := _too_large(operation, max(told.stored, said.data_size)):
        return Failed(too_large)
    looked = msgspec.convert(as_dict(operation.resources).get("check", {}), Looked)
    for _page in range(PAGES_AT_ONCE):
        page = objects.page(row.location, looked.after)
        if wrong := _look(row, told, described, page, looked):
            return Failed(wrong)
        if looked.again:
            break  # they go one by one, which takes its time
        if looked.after is None:
            return _judged(operation, said, told, looked)
    known = {"check": msgspec.to_builtins(looked)}
    return Wait(1, known, "its objects are being looked at")


def _too_large(operation: Operation, size: int) -> str | None:
    """Why it is no backup of that instance, if it has more bytes than any could have: stored, or as
    they came from the engine, which is what a restore would need of a volume."""
    instance = instances.find_instance(operation.instance_id)
    volume = float(instance.volume_size) if instance is not None else 0.0
    if size <= MOST_VOLUMES * volume * GIB + SPARE_BYTES:
        return None
    return f"The backup has {size} bytes, more than a volume of {volume:.0f} GiB can give."


def _look(
    row: Backup, told: manifest.Manifest, described: str, page: objects.Page, looked: Looked
) -> str | None:
    """Look at a page of its objects; what is wrong with them."""
    own, parts, strays = f"{row.location}/{told.attempt}/", 0, list[str]()
    for key, size in page.sizes.items():
        part = told.part(key.removeprefix(own)) if key.startswith(own) else None
        if part is not None:
            if not part.lies_as(size, page.etags.get(key, "")):
                number = key.removeprefix(own)
                return f"The backup is not whole in the store: its part {number} is another one."
            parts += 1
        elif key != described:
            strays.append(key)
    if looked.strays + len(strays) > MOST_ATTEMPTS * len(told.parts) + SPARE_OBJECTS:
        return "More lies beside the backup than attempts at it can have left."
    gone = objects.remove(strays)
    looked.strays += gone
    looked.again = gone < len(strays)
    if not looked.again:
        looked.parts += parts
        looked.after = page.after
    return None


def _judged(
    operation: Operation, said: BackedUp, told: manifest.Manifest, looked: Looked
) -> Outcome:
    if looked.parts != len(told.parts):
        return Failed(
            f"The backup is not whole in the store: of {len(told.parts)} parts {looked.parts} are "
            "there."
        )
    return _complete(operation, said, told)


def _check_in_container(operation: Operation, row: Backup, said: BackedUp) -> Outcome:
    try:
        told = container_objects.whole(operation, row, said)
    except containers.Away as error:
        return not_yet(operation, f"the object store is waited for: {error}")
    if not isinstance(told, manifest.Manifest):
        return told
    more = {"attempts": container_objects.remaining(told)}
    return _complete(operation, said, told, more)


def _complete(
    operation: Operation, said: BackedUp, told: manifest.Manifest, more: Mapping[str, Any] = {}
) -> Outcome:
    reported = instances.service_status(operation.instance_id)
    used = reported.volume_used if reported is not None else None
    made: dict[str, Any] = {
        "checksum": said.checksum,
        "attempt": told.attempt,
        "size": told.stored,
        "data_size": said.data_size,
        "position": said.position or None,
        "engine_version": said.version,
        "volume_used": used,
        **more,
        **_log_behind(operation, said),
    }
    return Done({"backup": {name: each for name, each in made.items() if each is not None}})


def _log_behind(operation: Operation, said: BackedUp) -> dict[str, Any]:
    """Where the log goes on behind it, as its guest has said, in an archive of its instance."""
    made = _backup(operation)
    if said.log is None or made is None or backups.container_of(made) is not None:
        return {}  # the log lies in the bucket, and who restores is lent one place
    row = archives.find_archive(said.log.archive)
    if row is None or row.instance_id != operation.instance_id:
        return {}
    known = made.log_before
    before = msgspec.convert(known, log_rules.Before) if known is not None else None
    number, reached_ms = said.log.number, said.log.reached_ms
    if not log_rules.may_go_on(row, made.created, before, number, reached_ms):
        log.warning("%s says that its log goes on from before it was asked for", made.id)
        return {}
    position = said.log.reached_position
    if position and not log_rules.may_reach(row, before, position, made.manager):
        log.warning("%s says that it has a position from before it was asked for", made.id)
        position = ""
    return {
        "archive_id": row.id,
        "archive_number": said.log.number,
        "archive_sha256": said.log.sha256,
        "log_position": said.log.position,
        "reached_ms": said.log.reached_ms,
        "reached_position": position or None,
    }


def discard(operation: Operation, _: str | None) -> Outcome:
    """Tell the guest to stop, if it was asked, and remove what it has sent."""
    row = _backup(operation)
    if row is None:
        return Done()
    if waiting := tell_to_stop(operation, row, asked="copy", step="discard"):
        return waiting
    if row.container_url is None:
        return removing_objects.of(operation, row)
    asked = rows.find(command_id(operation.id, "copy"))
    answered = asked is not None and asked.answered is not None
    if waiting := container_objects.remove(operation, row, answered=answered):
        return waiting
    return Done() if making_backups.lend(row, []) else Wait(1, note="its row is being changed")


def tell_to_stop(operation: Operation, row: Backup, *, asked: str, step: str) -> Outcome | None:
    """Tell the guest to end what the step `asked` has begun, from an undoing's `step`: a wait until
    it has heard it, or has had the time to; None then.

    One that does not hear it is stopped by its credentials, and the maintenance removes the rest.
    """
    begun = rows.find(command_id(operation.id, asked))
    if begun is None or begun.answered is not None or not _is_guest_of(operation, row):
        return None
    until = as_dict(operation.started)[step] + HEARS_SECONDS
    told = ask_by_polls(
        operation,
        "stop",
        contract.CANCEL_BACKUP,
        arguments.CancelBackup(id=row.id),
        until=until,
    )
    if told.answered is not None or aws.clock() > until:
        return None
    return not_yet(operation, "the guest agent is told to stop")


def _is_guest_of(operation: Operation, row: Backup) -> bool:
    instance: Instance | None = instances.find_instance(row.instance_id)
    return instance is not None and instance.generation == operation.generation


def _backup(operation: Operation) -> Backup | None:
    return backups.find_backup((operation.arguments or {})["backup"])


def _said(operation: Operation) -> BackedUp | None:
    asked = rows.find(command_id(operation.id, "copy"))
    if asked is None or asked.result is None:
        return None
    return contract.CREATE_BACKUP.decode(asked.result)


STEPS: Final = {"copy": copy, "check": check, "discard": discard}
