"""`datastore_version` of an instance changed: an upgrade within the major of its datastore.

What makes no sense by the numbers of the two versions is refused here. Whether there is an image,
and whether the engine on it is of that version, is seen when the operation looks.
"""

from __future__ import annotations

from typing import Any

from chalicelib import engines
from chalicelib.api import accepting
from chalicelib.api.accepting import Wanted
from chalicelib.api.catalog import Catalog, Copy
from chalicelib.api.choices import require_flavor
from chalicelib.api.frame import Request, Response
from chalicelib.bus.ability import require_heard
from chalicelib.conductor import generations
from chalicelib.domain.configurations import checked
from chalicelib.domain.flows import UPGRADE
from chalicelib.errors import BadRequest, DatastoreVersionNotFound, Unprocessable
from chalicelib.store import configurations
from chalicelib.store.models import DatastoreVersion, Instance


def accept(request: Request, name_or_id: str) -> Response:
    """Accept one upgrade of the instance in the path."""
    catalog = request.catalog
    return accepting.accept(request, UPGRADE, lambda row: _wanted(row, name_or_id, catalog))


def _wanted(row: Instance, name_or_id: str, catalog: Catalog) -> Wanted:
    """Decided by the version as it was read, and by the guest that goes."""
    version = _find(row, name_or_id, catalog)
    _require_newer(row, version)
    require_flavor(version, row.flavor_id)
    _require_settings(row, version)
    if not {"server_id", "volume_id"} <= set(row.resources):
        raise Unprocessable(f"Instance {row.id} has no server to upgrade; delete it.")
    require_heard(row)
    generations.require_next(row, 2)  # one for the way back
    told: dict[str, Any] = {
        "id": version.id,
        "name": version.name,
        "number": version.version,
        "image": {"id": version.image_id, "tags": list(version.image_tags)},
    }
    before = {
        "id": row.datastore_version_id,
        "name": row.datastore_version,
        "number": row.datastore_version_number,
        "image": row.image,
    }
    return Wanted(
        {"version": told, "before": before}, decided_by=("generation", "datastore_version_id")
    )


def _find(row: Instance, name_or_id: str, catalog: Catalog) -> DatastoreVersion:
    """The version of that id, or of that name in the instance's own datastore; one that is active.

    Raises `DatastoreVersionNotFound` (400), and `BadRequest` for one that is another datastore's,
    or for a name of several.
    """

    def named(copy: Copy) -> list[DatastoreVersion] | None:
        by_id = copy.version(name_or_id)
        if by_id is not None:
            return [by_id]
        datastore = copy.datastore(row.datastore_name)
        own = copy.versions_of(datastore) if datastore is not None else []
        return [each for each in own if each.name == name_or_id] or None

    found = catalog.find(named)
    if found is None:
        raise DatastoreVersionNotFound(
            f"Datastore '{row.datastore_name}' has no version '{name_or_id[:64]}'."
        )
    if len(found) > 1:
        raise BadRequest(
            f"Multiple datastore versions found for '{name_or_id}'; use the id of one."
        )
    version = found[0]
    if version.manager != row.manager:
        raise BadRequest(f"Version '{name_or_id}' is run by another kind of guest agent.")
    if version.datastore_name != row.datastore_name:
        raise BadRequest(
            f"Version '{name_or_id}' is of datastore '{version.datastore_name}', and instance "
            f"{row.id} of '{row.datastore_name}'."
        )
    if not version.active:
        raise DatastoreVersionNotFound(f"Datastore version '{name_or_id}' is not active.")
    if not version.image_id and not version.image_tags:
        raise DatastoreVersionNotFound(f"Datastore version '{name_or_id}' names no image.")
    return version


def _require_settings(row: Instance, version: DatastoreVersion) -> None:
    """See that the new engine takes the values of the instance's group; `Unprocessable`.

    Trove lets such an upgrade begin. Here it would come back with the version of before.
    """
    group = configurations.wanted_by(row)
    if group is None:
        return
    try:
        checked(version.manager, version.version, group.wanted)
    except Unprocessable as refused:
        raise Unprocessable(
            f"Version '{version.name}' does not take the values of configuration group {group.id}: "
            f"{refused} Change the group, or detach it, and upgrade then."
        ) from None


def _require_newer(row: Instance, version: DatastoreVersion) -> None:
    """Refuse what is no upgrade within a major: its own version, an older, or one that is not told.

    Another version of the same number is another image of it, which may be wanted.
    """
    if version.id == row.datastore_version_id:
        raise BadRequest(f"Instance {row.id} has version '{version.name}' already.")
    now, new = row.datastore_version_number, version.version
    before, after = engines.numbers_of(now), engines.numbers_of(new)
    majors = [engines.series_of(row.manager, each) for each in (before, after)]
    if None in majors:
        raise BadRequest(
            f"Of the versions '{now}' and '{new}' it is not known whether one is newer."
        )
    if majors[0] != majors[1]:
        raise BadRequest(
            f"An upgrade stays within a major version, and '{new}' is of another one than '{now}'; "
            "copy the data to a new instance."
        )
    if after < before:
        raise BadRequest(f"Version '{new}' is older than '{now}'; there is no downgrade.")
