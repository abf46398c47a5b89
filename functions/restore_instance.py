"""The flow `restore_instance`: a create whose guest begins with the data of a backup.

`fetch` brings the chain to the new volume, `apply` makes it the data, and `prepare` goes on with
what it finds, as after a create that was interrupted.
"""

from __future__ import annotations

from typing import Final

from chalicelib.bus import contract
from chalicelib.bus.contract import arguments
from chalicelib.conductor import refusals
from chalicelib.status import BackupStatus
from chalicelib.store import backups, instances
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
    )


STEPS: Final = {**create_instance.STEPS, "fetch": fetch, "apply": apply}
