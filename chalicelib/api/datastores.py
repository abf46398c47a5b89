"""Datastores and their versions. Whoever is no administrator sees the active versions only."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.api import flavors
from chalicelib.api.frame import Request, Response, Route
from chalicelib.errors import BadRequest, NotFound
from chalicelib.settings import API_VERSION
from chalicelib.store.models import Datastore, DatastoreVersion

PATH: Final = f"/{API_VERSION}/{{project}}/datastores"
VERSIONS: Final = f"{PATH}/{{datastore}}/versions"


def index(request: Request) -> Response:
    """GET datastores: those with a version that the caller may see."""
    datastores = request.catalog.now().datastores
    seen = [row for row in datastores if request.context.is_admin or _versions(request, row)]
    return Response(200, {"datastores": [_view(request, row) for row in seen]})


def show(request: Request) -> Response:
    """GET datastores/{name or id}."""
    return Response(200, {"datastore": _view(request, _datastore(request))})


def version_index(request: Request) -> Response:
    """GET datastores/{name or id}/versions."""
    versions = _versions(request, _datastore(request))
    return Response(200, {"versions": [_version_view(request, row) for row in versions]})


def version_show(request: Request) -> Response:
    """GET datastores/{name or id}/versions/{name or id}."""
    return Response(200, {"version": _version_view(request, _version(request))})


def version_show_by_uuid(request: Request) -> Response:
    """GET datastores/versions/{id}."""
    version_id = request.id_of("version")
    row = request.catalog.find(lambda copy: copy.version(version_id))
    if row is None or not _visible(request, row):
        raise _no_version(version_id)
    return Response(200, {"version": _version_view(request, row)})


def list_flavors(request: Request) -> Response:
    """GET …/versions/{v}/flavors: every flavor, since no version is bound to some."""
    _version(request)
    return flavors.index(request)


def list_volume_types(request: Request) -> Response:
    """GET …/versions/{v}/volume-types: none is mirrored, so Cinder's default is what there is."""
    _version(request)
    return Response(200, {"volume_types": []})


def _datastore(request: Request) -> Datastore:
    name_or_id = request.id_of("datastore")
    row = request.catalog.find(lambda copy: copy.datastore(name_or_id))
    if row is None:
        raise NotFound(f"Datastore '{name_or_id}' cannot be found.")
    return row


def _version(request: Request) -> DatastoreVersion:
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


def _view(request: Request, row: Datastore) -> dict[str, Any]:
    versions = [_version_view(request, version) for version in _versions(request, row)]
    view: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "links": request.place.links("datastores", row.id),
        "versions": versions,
    }
    if row.default_version_id:
        view["default_version"] = row.default_version_id
    return view


def _version_view(request: Request, row: DatastoreVersion) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "datastore": row.datastore_id,
        "links": request.place.links("datastores/versions", row.id),
    }
    if request.context.is_admin:
        view |= {
            "active": row.active,
            "packages": row.packages,
            "image": row.image_id or "",
            "image_tags": list(row.image_tags),
        }
    return view


ROUTES: Final = (
    Route("GET", PATH, index, "datastore:index"),
    Route("GET", f"{PATH}/{{datastore}}", show, "datastore:show"),
    Route(
        "GET",
        f"{PATH}/versions/{{version}}",
        version_show_by_uuid,
        "datastore:version_show_by_uuid",
    ),
    Route("GET", VERSIONS, version_index, "datastore:version_index"),
    Route("GET", f"{VERSIONS}/{{version}}", version_show, "datastore:version_show"),
    Route(
        "GET",
        f"{VERSIONS}/{{version}}/flavors",
        list_flavors,
        "datastore:list_associated_flavors",
    ),
    Route(
        "GET",
        f"{VERSIONS}/{{version}}/volume-types",
        list_volume_types,
        "datastore:list_associated_volume_types",
    ),
)
