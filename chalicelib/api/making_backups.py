"""What a backup is asked for with, and how it comes to be: made of an instance, or taken in."""

from __future__ import annotations

from typing import ClassVar, Final

from chalicelib.api import accepting, backup_places, importing
from chalicelib.api.accepting import Wanted
from chalicelib.api.backup_places import CINDER, ContainerName
from chalicelib.api.backup_view import BUSY, OneBackup, view_of
from chalicelib.api.frame import Request, Response
from chalicelib.api.importing import RestoreFrom
from chalicelib.api.response import LOCATION_HEADER, RETRY_AFTER_HEADER
from chalicelib.api.schema import Body, Examples, Given, Name, Reference, Text, id_at_end
from chalicelib.bus.ability import require_heard
from chalicelib.domain import backups as rules
from chalicelib.domain.flows import CREATE_BACKUP, CREATE_SNAPSHOT
from chalicelib.errors import BadRequest
from chalicelib.store import backups as store
from chalicelib.store import instances
from chalicelib.store import making_backups as rows
from chalicelib.store.base import Contended, races
from chalicelib.store.models import Backup, Instance, Operation

OF_ANOTHER: Final = {"instance", "parent_id", "swift_container", "storage_driver"}
"""What a backup that is imported has not: it is made, and lies where it lies."""


class BackupBody(Body, frozen=True):
    """A backup of an instance, on top of the parent that is named, or of its newest (incremental).

    It goes to the `swift_container`, or to where what it builds on lies, or to that of a strategy,
    or to the deployment's own store. With the `storage_driver` cinder it is a snapshot of the
    volume, which is always a full one. With `restore_from` nothing is made: a backup that Trove
    has made is taken in as it lies in the project's own Swift.
    """

    name: Name
    instance: Reference | None = None
    description: Text | None = None
    parent_id: Given | None = None
    incremental: bool | int | str | None = None

    swift_container: ContainerName | None = None
    storage_driver: Text | None = None
    restore_from: RestoreFrom | None = None


class NewBackup(Body, frozen=True):
    """A backup to make."""

    EXAMPLES: ClassVar[Examples] = (
        {
            "backup": {
                "name": "before-the-sale",
                "instance": "41c17c74-6146-4d87-b45c-4c23c3a89f15",
                "description": "All of the shop",
                "incremental": 0,
            }
        },
        {
            "backup": {
                "name": "from-trove",
                "restore_from": {
                    "remote_location": "https://swift.example.org/v1/AUTH_d5f1/database_backups/"
                    "1f2d1f0e-0d4c-4b57-9d39-0c1cbb1b6f0a.xbstream.gz",
                    "local_datastore_version_id": "8f2d1f0e-0d4c-4b57-9d39-0c1cbb1b6f0a",
                    "size": 1.2,
                },
            }
        },
    )

    backup: BackupBody


def create(request: Request) -> Response:
    """Back up an instance: accepted means durable, and the instance is in BACKUP."""
    asked = request.json(NewBackup).backup
    if asked.restore_from is not None:
        return _import(request, asked, asked.restore_from)
    if not asked.instance:
        raise BadRequest("Validation error: backup 'instance' is a required property")
    instance_id = id_at_end(asked.instance)
    is_snapshot = asked.storage_driver == CINDER
    made: dict[str, Backup] = {}

    def row_of(asking: Request) -> Instance:
        row = instances.get_instance(instance_id, asking.context.visible_tenant)
        asking.audit.of_instance(row.id, row.tenant_id)
        return row

    def wanted(row: Instance) -> Wanted:
        made["backup"] = (snapshot_of if is_snapshot else copy_of)(row)
        return making(made["backup"])

    def copy_of(row: Instance) -> Backup:
        require_heard(row)
        place = asked.swift_container, asked.storage_driver
        backup_places.name_of(*place)
        parent = _parent(row, asked)
        container = backup_places.container_of(request, row, *place, parent)
        return rows.new_backup(
            row, asked.name, asked.description, parent=parent, container=container
        )

    def snapshot_of(row: Instance) -> Backup:
        builds_on = asked.parent_id is not None or _is_incremental(asked)
        volume_id = backup_places.volume_of(row, asked.swift_container, builds_on=builds_on)
        return rows.new_backup(row, asked.name, asked.description, volume_id=volume_id)

    def answer(_: Operation) -> Response:
        headers = {
            LOCATION_HEADER: request.place.url("backups", made["backup"].id),
            RETRY_AFTER_HEADER: str(accepting.RETRY_AFTER_SECONDS),
        }
        return Response(202, OneBackup(view_of(made["backup"])), headers)

    flow = CREATE_SNAPSHOT if is_snapshot else CREATE_BACKUP
    return accepting.accept(request, flow, wanted, row_of=row_of, answer=answer)


def making(backup: Backup) -> Wanted:
    """What an instance is asked for that makes this backup, whose row is not stored yet."""
    arguments = {"backup": backup.id, "name": backup.name, "parent": backup.parent_id}
    return Wanted(arguments=arguments, decided_by=("generation",), beside=rows.making(backup))


def _import(request: Request, asked: BackupBody, place: RestoreFrom) -> Response:
    """Take in a backup that lies in the project's own Swift: it is complete at once."""
    if any(getattr(asked, name) is not None for name in OF_ANOTHER):
        raise BadRequest(
            "A backup that is imported ('restore_from') has neither an 'instance' nor a parent, "
            "and no place but its own."
        )
    if request.dry_run:
        raise BadRequest("An import cannot be tried with 'dry_run'; nothing was done.")
    for _ in races():
        row = importing.imported(request, asked.name, asked.description, place)
        headers = {LOCATION_HEADER: request.place.url("backups", row.id)}
        reply = Response(202, OneBackup(view_of(row)), headers)
        if rows.take_in(row, request.asked, request.keeping(reply)):
            return reply
        request.catalog.forget()  # the version was deleted meanwhile
    raise Contended(BUSY)


def _parent(row: Instance, asked: BackupBody) -> Backup | None:
    """What the backup is to build on: the one that is named, or the newest (if there is one, and it
    lies where the backup is said to go: a chain lies in one place)."""
    place = asked.swift_container, asked.storage_driver
    if asked.parent_id:
        rules.require_incremental(row.manager, row.datastore_name)
        parent = store.get_backup(asked.parent_id, row.tenant_id)
        rules.require_parent(store.chain_of(parent), row)
        backup_places.require_same(parent, *place)
        return parent
    if not _is_incremental(asked):
        return None
    rules.require_incremental(row.manager, row.datastore_name)
    newest = store.newest_complete(row.id)
    if newest is None or not rules.can_build_on(store.chain_of(newest), row):
        return None
    elsewhere = backup_places.is_named(*place) and not backup_places.lies_in(
        newest, backup_places.name_of(*place)
    )
    return None if elsewhere else newest


def _is_incremental(asked: BackupBody) -> bool:
    """`BadRequest` for a value that could be meant either way: a full one would be a surprise."""
    given = "0" if asked.incremental is None else str(asked.incremental).lower()
    if given not in ("1", "true", "0", "false"):
        raise BadRequest("Validation error: backup['incremental'] is 1 or 0.")
    return given in ("1", "true")
