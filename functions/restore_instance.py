"""The flow `restore_instance`: a create whose guest begins with the data of a backup.

`fetch` brings the chain to the new volume, `apply` makes it the data, with the log that goes on
behind it up to a moment if that was asked for, and `prepare` goes on with what it finds, as after a
create that was interrupted.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.bus import contract
from chalicelib.bus.contract import answers, arguments
from chalicelib.conductor import refusals
from chalicelib.domain.operations import command_id
from chalicelib.status import BackupStatus
from chalicelib.store import backups, instances
from chalicelib.store import commands as rows
from chalicelib.store.models import Operation
from functions import create_instance
from functions.asking import ask
from functions.create_backup import stored
from functions.outcomes import Failed, Outcome


def fetch(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest for the backup on its volume, unless none can come."""
    if lost := refusals.verdict(operation):
        return Failed(lost)
    wanted = _wanted(operation)
    if isinstance(wanted, Failed):
        return wanted
    return ask(operation, token, "fetch", contract.FETCH_BACKUP, lambda _: wanted)


def apply(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest to make it its data."""
    wanted = _wanted(operation)
    if isinstance(wanted, Failed):
        return wanted
    return ask(operation, token, "apply", contract.APPLY_BACKUP, lambda _: wanted)


def _wanted(operation: Operation) -> arguments.ApplyBackup | Failed:
    """What is asked for in both; or why not: a backup may have been deleted meanwhile."""
    backup_id = (operation.arguments or {})["backup"]
    row = backups.find_backup(backup_id)
    chain = backups.chain_of(row) if row is not None else []
    whole = row is not None and len(chain) == len(row.parents) + 1
    if not whole or any(each.status != BackupStatus.COMPLETED for each in chain):
        return Failed(f"Backup {backup_id}, or what it builds on, is not there any more.")
    instance = instances.get_instance(operation.instance_id)
    begun = create_instance.arguments_of(operation, instance)
    return arguments.ApplyBackup(
        datastore=begun.datastore,
        flavor=begun.flavor,
        mount_point=begun.mount_point,
        volume_id=begun.volume_id,
        chain=[stored(each) for each in chain],
        log=_log(operation),
    )


def _log(operation: Operation) -> arguments.LogToReplay | None:
    """What is replayed behind the backup, as it was when the restore was accepted."""
    asked = (operation.arguments or {}).get("log")
    return msgspec.convert(asked, arguments.LogToReplay) if asked is not None else None


def prepare(operation: Operation, token: str | None) -> Outcome:
    """Go on with the first start, unless the data are of another moment or position than was asked
    for: an older agent does not know what it is to replay."""
    log, asked = _log(operation), rows.find(command_id(operation.id, "apply"))
    if log is not None:
        answer = asked.result if asked is not None else None
        applied = contract.APPLY_BACKUP.decode(answer) if answer is not None else None
        wanted = answers.Applied(log.target_ms, log.target_position)
        if applied != wanted:
            return Failed("The guest agent has not replayed the log: its release is an older one.")
    return create_instance.prepare(operation, token)


STEPS: Final = {
    **create_instance.STEPS,
    "fetch": fetch,
    "apply": apply,
    "prepare": prepare,
}
