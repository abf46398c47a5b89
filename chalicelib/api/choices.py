"""What a create names, found in the catalog: its datastore version and its flavor."""

from __future__ import annotations

from chalicelib.api.catalog import Catalog, Copy
from chalicelib.api.instance_body import DatastoreBody
from chalicelib.errors import BadRequest, DatastoreVersionNotFound, FlavorNotFound, NotFound
from chalicelib.settings import settings
from chalicelib.store.models import DatastoreVersion, Flavor


def choose_flavor(catalog: Catalog, flavor_id: str) -> Flavor:
    """The flavor of that id; `FlavorNotFound` (400, as in Trove)."""
    row = catalog.find(lambda copy: copy.flavor(flavor_id))
    if row is None:
        raise FlavorNotFound(f"Flavor {flavor_id[:64]} cannot be found.")
    return row


def require_flavor(version: DatastoreVersion | None, flavor_id: str) -> None:
    """See that instances of the version may have that flavor; `FlavorNotFound` (400, as in Trove).

    A version that is gone binds nothing.
    """
    if version is not None and version.flavors and flavor_id not in version.flavors:
        raise FlavorNotFound(
            f"Flavor {flavor_id[:64]} is not supported for datastore {version.datastore_name} "
            f"version {version.name}."
        )


def require_volume_type(version: DatastoreVersion, named: str | None) -> None:
    """See that instances of the version may have a volume of that type, by the operator's name for
    it; which one is Cinder's default is not known here, so it has to be named. `BadRequest`."""
    if version.volume_types and named not in version.volume_types:
        raise BadRequest(
            f"Volume type {(named or '(none)')[:64]} is not supported for datastore "
            f"{version.datastore_name} version {version.name}; name one of "
            f"{', '.join(version.volume_types)}."
        )


def choose_version(catalog: Catalog, wanted: DatastoreBody) -> DatastoreVersion:
    """The version to build, by Trove's rules for defaults.

    Raises `NotFound` for the datastore, `DatastoreVersionNotFound` (400) for the version and
    `BadRequest` when more than one fits.
    """
    name = wanted.type or settings().default_datastore or _only_datastore(catalog)
    if not name:
        raise BadRequest("Please specify a datastore: there is no default one.")
    datastore = catalog.find(lambda copy: copy.datastore(name))
    if datastore is None:
        raise NotFound(f"Datastore '{name}' cannot be found.")
    chosen = wanted.version or datastore.default_version_id
    if not chosen:
        raise DatastoreVersionNotFound(f"Default version for datastore '{name}' not found.")

    def fitting(copy: Copy) -> list[DatastoreVersion] | None:
        return [
            row
            for row in copy.versions_of(datastore)
            if chosen in (row.id, row.name) and wanted.version_number in (None, "", row.version)
        ] or None

    found = catalog.find(fitting)
    if found is None:
        raise DatastoreVersionNotFound(f"Datastore '{name}' has no version '{chosen}'.")
    if len(found) > 1:
        raise BadRequest(f"Multiple datastore versions found for '{chosen}'; use the id of one.")
    if not found[0].active:
        raise DatastoreVersionNotFound(f"Datastore version '{chosen}' is not active.")
    return found[0]


def _only_datastore(catalog: Catalog) -> str | None:
    """The one datastore on offer, when there is but one that has an active version."""
    copy = catalog.now()
    offered = dict.fromkeys(row.datastore_id for row in copy.versions if row.active)
    return next(iter(offered)) if len(offered) == 1 else None
