"""Flavors, as Nova had them when they were mirrored last."""

from __future__ import annotations

from typing import Final

from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.links import Link, Place
from chalicelib.api.response import View
from chalicelib.errors import NotFound
from chalicelib.settings import API_VERSION
from chalicelib.store.models import Flavor

PATH: Final = f"/{API_VERSION}/{{project}}/flavors"


class FlavorView(View, frozen=True):
    """A size of instances. `str_id` names it; `id` is the same as a number, where it is one.

    `ram` in MiB; `disk` and `ephemeral` in GiB.
    """

    id: int | None
    str_id: str
    name: str
    ram: int
    vcpus: int
    disk: int
    ephemeral: int
    links: list[Link]


class FlavorList(View, frozen=True):
    """All flavors."""

    flavors: list[FlavorView]


class OneFlavor(View, frozen=True):
    """One flavor."""

    flavor: FlavorView


def index(request: Request) -> Response:
    """All flavors, as Nova had them when they were mirrored last."""
    flavors = request.catalog.now().flavors
    return Response(200, FlavorList([view(row, request.place) for row in flavors]))


def show(request: Request) -> Response:
    """One flavor."""
    flavor_id = request.id_of("flavor")
    row = request.catalog.find(lambda copy: copy.flavor(flavor_id))
    if row is None:
        raise NotFound(f"Flavor {flavor_id} cannot be found.")
    return Response(200, OneFlavor(view(row, request.place)))


def view(row: Flavor, place: Place) -> FlavorView:
    """Trove's flavor: `id` is a number or null, `str_id` is what to use."""
    return FlavorView(
        id=int(row.id) if row.id.isascii() and row.id.isdigit() else None,
        str_id=row.id,
        name=row.name,
        ram=int(row.ram),
        vcpus=int(row.vcpus),
        disk=int(row.disk),
        ephemeral=int(row.ephemeral),
        links=place.links("flavors", row.id),
    )


ROUTES: Final = (
    Route("GET", PATH, index, "flavor:index", answers=FlavorList),
    Route("GET", f"{PATH}/{{flavor}}", show, "flavor:show", answers=OneFlavor),
)
