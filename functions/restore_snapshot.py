"""The flow `restore_snapshot`: a create on a volume that Cinder makes of a backup's snapshot.

`adopt` starts the database on the data that are there, as a rebuild does, and makes none: a volume
without them fails. `grow` gives the file system what the new volume has beyond the snapshot, and
`prepare` makes what the create has asked for beside, as after a create that was interrupted.
"""

from __future__ import annotations

from typing import Final

from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import Rebuild, ResizeFileSystem
from chalicelib.conductor import refusals
from chalicelib.status import BackupStatus
from chalicelib.store import backups, instances
from chalicelib.store.models import Backup, Instance, Operation
from functions import create_instance
from functions.asking import ask
from functions.outcomes import Failed, Outcome


def volume(operation: Operation, _: str | None) -> Outcome:
    """Make the data volume of the snapshot; a later step waits for it to be available."""
    row = _backup(operation)
    if row is None or row.status != BackupStatus.COMPLETED:
        return Failed("The backup is not there any more.")
    return create_instance.volume_of(operation, row.snapshot_id)


def adopt(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest to go on with the data on its volume, unless none can come."""
    if lost := refusals.verdict(operation):
        return Failed(lost)

    def arguments(instance: Instance) -> Rebuild:
        begun = create_instance.arguments_of(operation, instance)
        return Rebuild(
            datastore=begun.datastore,
            flavor=begun.flavor,
            mount_point=begun.mount_point,
            volume_id=begun.volume_id,
            configuration=begun.configuration,
        )

    return ask(operation, token, "adopt", contract.REBUILD, arguments)


def grow(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest to use the room that the snapshot had not, or that nobody had used there: its
    volume may have grown a moment before its file system."""
    size = int(instances.get_instance(operation.instance_id).volume_size)
    return ask(operation, token, "grow", contract.RESIZE_FS, lambda _: ResizeFileSystem(size))


def _backup(operation: Operation) -> Backup | None:
    return backups.find_backup((operation.arguments or {})["backup"])


STEPS: Final = {**create_instance.STEPS, "volume": volume, "adopt": adopt, "grow": grow}
