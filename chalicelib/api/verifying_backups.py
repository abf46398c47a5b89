"""Having a backup tried out beside the database of its instance."""

from __future__ import annotations

from typing import ClassVar

from chalicelib.api import accepting
from chalicelib.api.accepting import Wanted
from chalicelib.api.backup_view import backup_of
from chalicelib.api.frame import Request, Response
from chalicelib.api.schema import Body, Examples
from chalicelib.bus.ability import require_heard
from chalicelib.domain import backups as rules
from chalicelib.domain.flows import VERIFY_BACKUP
from chalicelib.errors import NotSupported, Unprocessable
from chalicelib.status import Status
from chalicelib.store import instances
from chalicelib.store.models import Backup, Instance


class VerifyBody(Body, frozen=True):
    """Have a backup tried out; there is nothing to choose."""


class BackupAction(Body, frozen=True):
    """What is to be done with a backup."""

    EXAMPLES: ClassVar[Examples] = ({"verify": {}},)

    verify: VerifyBody


def act(request: Request) -> Response:
    """Have a backup tried out beside the database of its instance, which goes on."""
    request.json(BackupAction)
    request.audit.action = "verify"
    backup = backup_of(request)

    def wanted(row: Instance) -> Wanted:
        return rules_of_trial(row, backup)

    def row_of(_: Request) -> Instance:
        return _source_of(backup)

    return accepting.accept(request, VERIFY_BACKUP, wanted, row_of=row_of)


def _source_of(backup: Backup) -> Instance:
    if backup.imported is not None:
        raise NotSupported(
            f"Backup {backup.id} was imported, and has no instance to try it out: restore it to a "
            "new one."
        )
    row = instances.find_instance(backup.instance_id)
    if row is None or row.status == Status.DELETED:
        raise Unprocessable(
            f"The instance of backup {backup.id} is gone, which would try it out: restore the "
            "backup to a new instance."
        )
    return row


def rules_of_trial(row: Instance, backup: Backup) -> Wanted:
    """What an instance is asked for that tries out one of its backups."""
    if backup.is_snapshot:
        raise NotSupported(
            f"Backup {backup.id} is a snapshot, which lies on no volume that its instance could "
            "read: restore it to a new instance."
        )
    require_heard(row)
    rules.require_readable(backup, row.manager, row.datastore_version_number)
    return Wanted(arguments={"backup": backup.id}, decided_by=("generation",))
