"""`restore_from`: a backup that Trove has made becomes one of ours, without a byte being moved.

    the URL is of the project's own object store, by the token's catalog    else 400
    an object is there, and the token may read it                           else 404, 401
    it is a whole backup, in the clear, of an engine that can read it       else 400, 501
    the deployment's key lies beside the container, as for others there     else 409

Its guest reads it when an instance begins with it. Whatever lies there is somebody else's: nothing
of it is ever changed, nor deleted with the backup.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

from chalicelib.api.frame import Request
from chalicelib.api.schema import Body, Given
from chalicelib.auth.containers import Found
from chalicelib.domain import imports
from chalicelib.domain.backups import GIB
from chalicelib.domain.imports import Imported
from chalicelib.errors import (
    BadRequest,
    Conflict,
    DatastoreVersionNotFound,
    NotFound,
)
from chalicelib.store import making_backups
from chalicelib.store.models import Backup, DatastoreVersion

MOST_URL: Final = 4096
MOST_GIB: Final = 1_000_000.0
_ETAG: Final = re.compile(r"[0-9a-f]{32}")


class RestoreFrom(Body, frozen=True):
    """Where a backup lies that Trove has made: the URL of its object in Swift, the version of its
    datastore here, and what it needs of a volume, in GiB."""

    remote_location: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_URL)]
    local_datastore_version_id: Given
    size: Annotated[float, msgspec.Meta(gt=0, le=MOST_GIB)]


def imported(request: Request, name: str, description: str | None, asked: RestoreFrom) -> Backup:
    """The row of the backup, not stored yet; raises what is wrong with it."""
    version = _version(request, asked.local_datastore_version_id)
    imports.require_taken_in(version.manager, version.datastore_name)
    found = _found(request, asked.remote_location)
    what = described(found)
    place = request.container(found.container, make=False)
    if place is None:
        raise _lost(asked.remote_location)
    needed = max(asked.size, what.size / GIB)
    row = making_backups.imported_backup(
        request.context.project_id, name, version, place, what, needed
    )
    row.description = description or None
    return row


def require_same(request: Request, row: Backup, location: str) -> None:
    """Refuse to begin an instance with what is gone (404), or is not the same any more (409)."""
    if request.dry_run or row.imported is None:
        return
    found = _found(request, location)
    try:
        same = described(found) == imports.known(row.imported)
    except BadRequest:  # nor could what is there now be imported
        same = False
    if not same:
        raise Conflict(
            f"The object {location} is not the one that was imported as backup {row.id}: somebody "
            "has changed it. Import it again."
        )


def described(found: Found) -> Imported:
    """What is remembered of an object, if it is a backup that can be taken in."""
    headers = {name.lower(): value for name, value in found.headers.items()}
    imports.require_full(found.key, headers)
    etag, size = headers.get("etag", "").strip('"'), headers.get("content-length", "")
    if not _ETAG.fullmatch(etag) or not size.isdecimal():
        raise BadRequest(
            "The object store tells no size and MD5 of that object, by which a restore could see "
            "that nobody has changed it: put it there anew as one plain object, and import that."
        )
    if not int(size):
        raise BadRequest("That object is empty, and no backup.")
    large = headers.get("x-static-large-object", "").lower() == "true"
    large = large or bool(headers.get("x-object-manifest"))
    return Imported(found.key, int(size), etag, large)


def _version(request: Request, version_id: str) -> DatastoreVersion:
    row = request.catalog.find(lambda copy: copy.version(version_id))
    if row is None or not row.active:
        raise DatastoreVersionNotFound(f"Datastore version '{version_id[:64]}' cannot be found.")
    return row


def _found(request: Request, location: str) -> Found:
    found = request.object_at(location)
    if found is None:
        raise _lost(location)
    return found


def _lost(location: str) -> NotFound:
    return NotFound(f"There is no object {location[:255]} in the object store of the project.")
