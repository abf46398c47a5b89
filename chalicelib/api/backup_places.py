"""Where a backup goes: to the deployment's bucket, to a container of the project's in Swift, or
nowhere: a snapshot of the volume stays where that is.

    what it builds on        a chain lies in one place
    `swift_container`        of the request
    `storage_driver`         of the request: swift is Trove's container, s3 the bucket, cinder a
                             snapshot, which is always asked for
    a strategy               the instance's, or the project's
    else                     the bucket

A container is made, and the deployment's key put beside it, with the token of who asks. Whoever
begins an instance with a backup, or deletes it, has that looked at again.
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

import msgspec

from chalicelib.api import importing
from chalicelib.api.frame import Request
from chalicelib.bus.contract.manifest import place_in_container
from chalicelib.domain import attempts, imports
from chalicelib.domain import backups as rules
from chalicelib.domain.containers import DEFAULT, MOST_NAME, Container
from chalicelib.errors import (
    BadRequest,
    CofferError,
    Conflict,
    Forbidden,
    NotFound,
    Unprocessable,
)
from chalicelib.settings import settings
from chalicelib.status import BackupStatus
from chalicelib.store import backups as store
from chalicelib.store import instances, making_backups, strategies
from chalicelib.store.models import Backup, Instance

S3: Final = "s3"
SWIFT: Final = "swift"
CINDER: Final = "cinder"
DRIVERS: Final = (S3, SWIFT, CINDER)

ContainerName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MOST_NAME, pattern=r"^(?!\.{1,2}$)[^/\n]+$(?!\n)")
]
"""Of a container: anything without a slash, and not what a path is made shorter by."""


def is_named(swift_container: str | None, driver: str | None) -> bool:
    """Whether a request says where its backup is to go."""
    return swift_container is not None or driver is not None


def name_of(swift_container: str | None, driver: str | None) -> str | None:
    """The container that a request names; None for the bucket, and for a snapshot. Refuses what
    is no driver here."""
    if driver not in (None, *DRIVERS):
        raise BadRequest(f"The storage drivers are {', '.join(DRIVERS[:-1])} and {DRIVERS[-1]}.")
    if driver in (S3, CINDER):
        if swift_container is not None:
            raise BadRequest("A backup in a 'swift_container' has the storage driver swift.")
        return None
    return swift_container or (DEFAULT if driver == SWIFT else None)


def lies_in(row: Backup, name: str | None) -> bool:
    """Whether a backup lies in the container of that name; None is the bucket."""
    container = store.container_of(row)
    return (container.name if container is not None else None) == name


def require_same(parent: Backup, swift_container: str | None, driver: str | None) -> None:
    """Refuse (400) a request that names another place than its parent's."""
    named = is_named(swift_container, driver)
    if named and not lies_in(parent, name_of(swift_container, driver)):
        raise BadRequest(
            f"Backup {parent.id} lies elsewhere: what builds on it lies there too. Leave the "
            "place out, or make a full backup."
        )


def container_of(
    request: Request,
    row: Instance,
    swift_container: str | None,
    driver: str | None,
    parent: Backup | None,
) -> Container | None:
    """The container that a new backup of an instance goes to, reached; None for the bucket."""
    name, place = name_of(swift_container, driver), None
    if parent is not None:
        place = store.container_of(parent)
        name = place.name if place is not None else None
    elif not is_named(swift_container, driver):
        chosen = strategies.container_for(row)
        name = chosen.name if chosen is not None else None
    if name is None or request.dry_run:
        return None
    if request.context.project_id != row.tenant_id:
        raise Forbidden("Only a token of the instance's own project reaches its containers.")
    if parent is None:
        making_backups.require_room(row.tenant_id, row.id)  # no container for what is refused
    found = request.container(name, make=parent is None)
    if found is None or (place is not None and found.url != place.url):
        raise Conflict(f"Container {name}, which the backup builds on, is not there any more.")
    if parent is not None:
        store.reached(store.chain_of(parent), found)
    strategies.reached(row.tenant_id, row, found)
    return found


def require_there(request: Request, row: Backup) -> None:
    """Refuse to begin an instance with what lay in a container that is gone (404), or in an object
    store that is not the project's any more (409), as when its operator has moved it."""
    place = store.container_of(row)
    if place is None or request.dry_run or row.status != BackupStatus.COMPLETED:
        return
    found = request.container(place.name, make=False)
    if found is None:
        raise NotFound(
            f"Backup file in {shown(row)} was not found: container {place.name} is gone."
        )
    if row.imported is not None and found.url != place.url:
        raise Conflict(
            f"Backup {row.id} lies in {place.url}, and the object store of the project is "
            "elsewhere by now, as the catalog of the cloud tells: ask its operator."
        )
    importing.require_same(request, row, shown(row))
    _reached(row, store.chain_of(row), found)


def _reached(row: Backup, rows: list[Backup], found: Container) -> None:
    """Have what lies in a container, or is to go there, signed with the key that is there now."""
    store.reached(rows, found)
    instance = instances.find_instance(row.instance_id) if row.instance_id else None
    strategies.reached(row.tenant_id, instance, found)


def is_lost(request: Request, row: Backup) -> bool:
    """Whether a backup's container is known to be gone, so that nothing is left to delete. Where
    that cannot be asked the deletion finds out what it can."""
    place = store.container_of(row)
    foreign = request.context.project_id != row.tenant_id or row.imported is not None
    if place is None or foreign:
        return False
    try:
        found = request.container(place.name, make=False)
    except CofferError:
        return False
    if found is not None:
        _reached(row, [row], found)
    return found is None


def volume_of(row: Instance, swift_container: str | None, *, builds_on: bool) -> str:
    """The volume that a snapshot is to be made of. Refuses what no snapshot can be: a part of a
    chain, one in a container, of an engine that does not go on with one, of no volume."""
    name_of(swift_container, CINDER)
    rules.require_snapshots(row.manager, row.datastore_name)
    if builds_on:
        raise BadRequest("A snapshot is a full backup: it builds on none ('incremental').")
    volume_id: str | None = row.resources.get("volume_id")
    if volume_id is None:
        raise Unprocessable(f"Instance {row.id} has no volume of which a snapshot could be made.")
    return volume_id


def driver_of(row: Backup) -> str:
    """Its storage driver, by Trove's word."""
    if row.is_snapshot:
        return CINDER
    return SWIFT if row.container_url is not None else S3


def shown(row: Backup) -> str:
    """Where a backup lies, as its tenant sees it: in a container as Swift's URL of its manifest."""
    if row.is_snapshot:
        return f"{CINDER}://{row.snapshot_id}"
    if row.container_url is None:
        return f"s3://{settings().backups_bucket}/{row.location}"
    if (found := imports.known(row.imported)) is not None:
        return f"{row.container_url}/{quote(found.key)}"
    known = attempts.of(row.attempts)
    attempt = known[-1].id if known else ""
    return f"{row.container_url}/{place_in_container(row.location, attempt)}"
