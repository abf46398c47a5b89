"""Datastores and their versions. Whoever is no administrator sees the active versions only."""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib import engines
from chalicelib.api import flavors
from chalicelib.api.flavors import FlavorList
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.links import Link
from chalicelib.api.response import View
from chalicelib.errors import BadRequest, NotFound
from chalicelib.settings import API_VERSION
from chalicelib.store.models import Datastore, DatastoreVersion

PATH: Final = f"/{API_VERSION}/{{project}}/datastores"
VERSIONS: Final = f"{PATH}/{{datastore}}/versions"


class VersionView(View, frozen=True, kw_only=True):
    """A version of a datastore, and what its instances can do: `databases`, `users` and so on.

    Administrators see what it is made from.
    """

    id: str
    name: str
    version: str
    datastore: str
    links: list[Link]
    capabilities: list[str]
    active: bool | msgspec.UnsetType = msgspec.UNSET
    packages: str | msgspec.UnsetType | None = msgspec.UNSET
    image: str | msgspec.UnsetType = msgspec.UNSET
    image_tags: list[str] | msgspec.UnsetType = msgspec.UNSET


class DatastoreView(View, frozen=True):
    """A kind of database, and its versions that the caller may see.

    `description` says by which engines it is served: the name `mysql` may be MariaDB's.
    """

    id: str
    name: str
    description: str
    links: list[Link]
    versions: list[VersionView]
    default_version: str | msgspec.UnsetType = msgspec.UNSET


class DatastoreList(View, frozen=True):
    """The datastores on offer."""

    datastores: list[DatastoreView]


class OneDatastore(View, frozen=True):
    """One datastore."""

    datastore: DatastoreView


class DatastoreVersionList(View, frozen=True):
    """The versions of a datastore."""

    versions: list[VersionView]


class OneDatastoreVersion(View, frozen=True):
    """One version of a datastore."""

    version: VersionView


class VolumeTypeView(View, frozen=True):
    """A volume type, by the name or id that the operator has bound it by."""

    id: str
    name: str


class VolumeTypeList(View, frozen=True):
    """The volume types to choose from; none is known where the operator has bound none."""

    volume_types: list[VolumeTypeView]


def index(request: Request) -> Response:
    """The datastores that have a version which the caller may see."""
    datastores = request.catalog.now().datastores
    seen = [row for row in datastores if request.context.is_admin or _versions(request, row)]
    return Response(200, DatastoreList([_view(request, row) for row in seen]))


def show(request: Request) -> Response:
    """A datastore, by name or id."""
    return Response(200, OneDatastore(_view(request, _datastore(request))))


def version_index(request: Request) -> Response:
    """The versions of a datastore, by its name or id."""
    versions = _versions(request, _datastore(request))
    return Response(200, DatastoreVersionList([_version_view(request, row) for row in versions]))


def version_show(request: Request) -> Response:
    """A version of a datastore, both by name or id."""
    return Response(200, OneDatastoreVersion(_version_view(request, version_of(request))))


def version_show_by_uuid(request: Request) -> Response:
    """A version by its id, of whichever datastore."""
    return Response(200, OneDatastoreVersion(_version_view(request, version_by_uuid(request))))


def list_flavors(request: Request) -> Response:
    """The flavors for a version: those that it is bound to, or all."""
    bound = version_of(request).flavors
    found = request.catalog.now().flavors
    allowed = [row for row in found if not bound or row.id in bound]
    return Response(200, FlavorList([flavors.view(row, request.place) for row in allowed]))


def list_volume_types(request: Request) -> Response:
    """The volume types that a version is bound to; of others only Cinder knows."""
    bound = version_of(request).volume_types
    return Response(200, VolumeTypeList([VolumeTypeView(name, name) for name in bound]))


def _datastore(request: Request) -> Datastore:
    name_or_id = request.id_of("datastore")
    row = request.catalog.find(lambda copy: copy.datastore(name_or_id))
    if row is None:
        raise NotFound(f"Datastore '{name_or_id}' cannot be found.")
    return row


def version_by_uuid(request: Request) -> DatastoreVersion:
    """The version in the path by its id, if the caller may see it; `NotFound` otherwise."""
    version_id = request.id_of("version")
    row = request.catalog.find(lambda copy: copy.version(version_id))
    if row is None or not _visible(request, row):
        raise _no_version(version_id)
    return row


def version_of(request: Request) -> DatastoreVersion:
    """The version in the path, and its datastore, both by name or id; `NotFound` when the caller
    sees none."""
    name_or_id = request.id_of("version")
    datastore = _datastore(request)
    found = [row for row in _versions(request, datastore) if name_or_id in (row.id, row.name)]
    if not found:
        raise _no_version(name_or_id)
    if len(found) > 1:
        raise BadRequest(
            f"Multiple datastore versions found for '{name_or_id}'; use the id of one."
        )
    return found[0]


def _no_version(name_or_id: str) -> NotFound:
    return NotFound(f"Datastore version '{name_or_id}' cannot be found.")


def _versions(request: Request, datastore: Datastore) -> list[DatastoreVersion]:
    versions = request.catalog.now().versions_of(datastore)
    return [row for row in versions if _visible(request, row)]


def _visible(request: Request, row: DatastoreVersion) -> bool:
    return row.active or request.context.is_admin


def _view(request: Request, row: Datastore) -> DatastoreView:
    versions = _versions(request, row)
    # Trove's client looks the default up among the versions, and fails where it is not.
    shown = any(version.id == row.default_version_id for version in versions)
    return DatastoreView(
        id=row.id,
        name=row.name,
        description=_description(row, versions),
        links=request.place.links("datastores", row.id),
        versions=[_version_view(request, version) for version in versions],
        default_version=(row.default_version_id or msgspec.UNSET) if shown else msgspec.UNSET,
    )


def _description(row: Datastore, versions: list[DatastoreVersion]) -> str:
    """The engines of its versions, with the words that somebody needs who expects another one."""
    names = sorted({engines.ENGINES[each.manager].name for each in versions})
    if not names:
        return "Without a version."
    told = f"Served by {', '.join(names)}"
    if row.name == "mysql" and "MariaDB" in names:
        return f"{told}, which speaks MySQL's protocol and is none of its versions."
    return f"{told}."


def _version_view(request: Request, row: DatastoreVersion) -> VersionView:
    admin = request.context.is_admin
    return VersionView(
        id=row.id,
        name=row.name,
        version=row.version,
        datastore=row.datastore_id,
        links=request.place.links("datastores/versions", row.id),
        capabilities=engines.capabilities(row.manager),
        active=row.active if admin else msgspec.UNSET,
        packages=row.packages if admin else msgspec.UNSET,
        image=(row.image_id or "") if admin else msgspec.UNSET,
        image_tags=list(row.image_tags) if admin else msgspec.UNSET,
    )


ROUTES: Final = (
    Route("GET", PATH, index, "datastore:index", answers=DatastoreList),
    Route("GET", f"{PATH}/{{datastore}}", show, "datastore:show", answers=OneDatastore),
    Route(
        "GET",
        f"{PATH}/versions/{{version}}",
        version_show_by_uuid,
        "datastore:version_show_by_uuid",
        answers=OneDatastoreVersion,
    ),
    Route(
        "GET",
        VERSIONS,
        version_index,
        "datastore:version_index",
        answers=DatastoreVersionList,
    ),
    Route(
        "GET",
        f"{VERSIONS}/{{version}}",
        version_show,
        "datastore:version_show",
        answers=OneDatastoreVersion,
    ),
    Route(
        "GET",
        f"{VERSIONS}/{{version}}/flavors",
        list_flavors,
        "datastore:list_associated_flavors",
        answers=FlavorList,
    ),
    Route(
        "GET",
        f"{VERSIONS}/{{version}}/volume-types",
        list_volume_types,
        "datastore:list_associated_volume_types",
        answers=VolumeTypeList,
    ),
)
