"""The flow `verify_backup`: the guest of its instance tries out a backup, and the verdict is kept.

    look ──▶ try: restored beside the database, read whole ──▶ judge ──▶ verdict on the backup
      └ something is missing in the store: a verdict already        └ FAILED: it was not tried
                            cancelled, late ──▶ stop: the guest is told

The end writes the verdict with the operation's end (`store.ending_backups.ending`). While the
operation lives, nobody deletes the backup: it is among its readers.
"""

from __future__ import annotations

import logging
from typing import Any, Final, NamedTuple

from chalicelib import aws, containers, metrics, objects, tracing
from chalicelib.bus import contract
from chalicelib.bus.commands import printable
from chalicelib.bus.contract import arguments, manifest
from chalicelib.bus.contract.values import MOST_MESSAGE
from chalicelib.domain import attempts
from chalicelib.domain.backups import FAILED, PASSED, bandwidth
from chalicelib.domain.containers import Container
from chalicelib.domain.operations import command_id
from chalicelib.settings import settings
from chalicelib.status import BackupStatus
from chalicelib.store import backups
from chalicelib.store import commands as rows
from chalicelib.store.base import as_dict
from chalicelib.store.ending_backups import VERDICT
from chalicelib.store.models import Backup, Operation
from functions.asking import ask
from functions.create_backup import stored, tell_to_stop
from functions.outcomes import Done, Failed, Outcome, Wait, not_yet

SLICE_SECONDS: Final = 8.0
"""A look begins nothing later than that: it still ends within its function."""

log = logging.getLogger(__name__)


class Seen(NamedTuple):
    """How far a look has come: the number of the backup in its chain, what was found of it (bytes,
    or parts in a container), and behind which key it goes on."""

    at: int
    found: int
    after: str | None


def look(operation: Operation, _: str | None) -> Outcome:
    """Compare what lies in the store with what is known of each of the chain: a guest could not
    tell what is missing from what it may not see."""
    chain = _chain(operation)
    if isinstance(chain, Failed):
        return chain
    known = as_dict(operation.resources).get("look", {})
    seen = Seen(int(known.get("at", 0)), int(known.get("found", 0)), known.get("after"))
    until = aws.monotonic() + SLICE_SECONDS
    try:
        while seen.at < len(chain):
            seen = _look_at(chain[seen.at], seen, until)
            if aws.monotonic() > until:
                return Wait(1, {"look": seen._asdict()}, "its objects are being looked at")
    except (containers.Refused, objects.Unreadable) as error:
        return Failed(f"The object store does not give the backup: {error}.")
    except (objects.NotStored, ValueError) as error:
        return _judged(sound=False, reason=f"backup {chain[seen.at].id} is not whole: {error}")
    except containers.Away as error:
        return not_yet(operation, f"the object store is waited for: {error}")
    return Done()


def _look_at(row: Backup, seen: Seen, until: float) -> Seen:
    """What comes next of one backup. Raises `NotStored` where something is missing."""
    place = backups.container_of(row)
    if place is not None:
        return _look_in_container(row, place, seen, until)
    checksum = str(row.checksum)
    key = manifest.key_of(row.location, checksum)
    told = manifest.opened(objects.read(key, manifest.MOST_BYTES), checksum)
    own = f"{row.location}/{told.attempt}"
    page = objects.page(own, seen.after)
    for key, size in page.sizes.items():
        name = key.removeprefix(f"{own}/")
        part = told.part(name)
        if part is not None and not part.lies_as(size, page.etags.get(key, "")):
            raise objects.NotStored(f"part {name} is not what was written")
    found = seen.found + sum(page.sizes.values())
    if page.after is not None:
        return Seen(seen.at, found, page.after)
    if found != told.stored:
        raise objects.NotStored(f"of {told.stored} bytes {found} are there")
    return Seen(seen.at + 1, 0, None)


def _look_in_container(row: Backup, place: Container, seen: Seen, until: float) -> Seen:
    """Its next parts, until then. A manifest may be as long as a part: it is read once for them."""
    newest = attempts.of(row.attempts)[-1].id
    key = manifest.place_in_container(row.location, newest)
    told = manifest.opened(containers.read(place, key, manifest.MOST_BYTES), str(row.checksum))
    for number in range(seen.found, len(told.parts)):
        lies = containers.look(place, f"{row.location}/{newest}/{number}")
        if lies is None or not told.parts[number].lies_as(lies.size, lies.etag):
            raise objects.NotStored(f"part {number} is not what was written")
        if aws.monotonic() > until:
            return Seen(seen.at, number + 1, None)
    return Seen(seen.at + 1, 0, None)


def attempt(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest to try it out, unless the store has judged it."""
    if VERDICT in as_dict(operation.resources):
        return Done()
    chain = _chain(operation)
    if isinstance(chain, Failed):
        return chain
    told = [stored(each) for each in chain]
    wanted = arguments.VerifyBackup(
        chain=told, bandwidth=bandwidth(settings().backup_bytes_per_second)
    )
    return ask(operation, token, "try", contract.VERIFY_BACKUP, lambda _: wanted)


def judge(operation: Operation, _: str | None) -> Outcome:
    """Keep what the guest has found; what is wrong is counted, as somebody has to know."""
    verdict = as_dict(operation.resources).get(VERDICT)
    outcome = Done() if verdict is not None else _answered(operation)
    if isinstance(outcome, Done):
        verdict = verdict or outcome.resources[VERDICT]
        span = tracing.current()
        if verdict["verdict"] == FAILED and span is not None:
            span.measure(metrics.BACKUPS_UNSOUND, 1)
            log.error("backup %s is not sound", (operation.arguments or {})["backup"])
    return outcome


def _answered(operation: Operation) -> Outcome:
    asked = rows.find(command_id(operation.id, "try"))
    if asked is None or asked.result is None:
        return Failed("What the guest agent has answered is not known.")
    said = contract.VERIFY_BACKUP.decode(asked.result)
    return _judged(sound=said.sound, reason=printable(said.reason, MOST_MESSAGE))


def stop(operation: Operation, _: str | None) -> Outcome:
    """Tell the guest to stop, if it was asked."""
    row = backups.find_backup((operation.arguments or {})["backup"])
    waiting = tell_to_stop(operation, row, asked="try", step="stop") if row is not None else None
    return waiting or Done()


def _judged(*, sound: bool, reason: str) -> Done:
    verdict: dict[str, Any] = {"verdict": PASSED if sound else FAILED}
    if not sound:
        verdict["reason"] = reason or "the guest does not say why"
    return Done({VERDICT: verdict})


def _chain(operation: Operation) -> list[Backup] | Failed:
    backup_id = (operation.arguments or {})["backup"]
    row = backups.find_backup(backup_id)
    chain = backups.chain_of(row) if row is not None else []
    whole = row is not None and len(chain) == len(row.parents) + 1
    if not whole or any(each.status != BackupStatus.COMPLETED for each in chain):
        return Failed(f"Backup {backup_id}, or what it builds on, is not there any more.")
    return chain


STEPS: Final = {"look": look, "try": attempt, "judge": judge, "stop": stop}
