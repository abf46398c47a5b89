"""Flavors, as Nova had them when they were mirrored last."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.links import Place
from chalicelib.errors import NotFound
from chalicelib.settings import API_VERSION
from chalicelib.store.models import Flavor

PATH: Final = f"/{API_VERSION}/{{project}}/flavors"


def index(request: Request) -> Response:
    """GET flavors."""
    flavors = request.catalog.now().flavors
    return Response(200, {"flavors": [view(row, request.place) for row in flavors]})


def show(request: Request) -> Response:
    """GET flavors/{id}."""
    flavor_id = request.id_of("flavor")
    row = request.catalog.find(lambda copy: copy.flavor(flavor_id))
    if row is None:
        raise NotFound(f"Flavor {flavor_id} cannot be found.")
    return Response(200, {"flavor": view(row, request.place)})


def view(row: Flavor, place: Place) -> dict[str, Any]:
    """Trove's flavor: `id` is a number or null, `str_id` is what to use."""
    return {
        "id": int(row.id) if row.id.isascii() and row.id.isdigit() else None,
        "str_id": row.id,
        "name": row.name,
        "ram": int(row.ram),
        "vcpus": int(row.vcpus),
        "disk": int(row.disk),
        "ephemeral": int(row.ephemeral),
        "links": place.links("flavors", row.id),
    }


ROUTES: Final = (
    Route("GET", PATH, index, "flavor:index"),
    Route("GET", f"{PATH}/{{flavor}}", show, "flavor:show"),
)
