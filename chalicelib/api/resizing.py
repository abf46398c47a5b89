"""The action `resize`: a larger volume, or another flavor."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from chalicelib.api import accepting, choices
from chalicelib.api.accepting import Wanted
from chalicelib.api.catalog import Catalog
from chalicelib.api.frame import Request, Response
from chalicelib.api.schema import Body, Examples
from chalicelib.bus.ability import require_heard
from chalicelib.domain import instances
from chalicelib.domain.flows import RESIZE_FLAVOR, RESIZE_VOLUME
from chalicelib.errors import BadRequest, NotSupported
from chalicelib.settings import settings
from chalicelib.store.guests import epoch_of
from chalicelib.store.models import Instance


class SizeBody(Body, frozen=True):
    """The size in GiB; digits in a string are fine."""

    size: int | str


class ResizeBody(Body, frozen=True):
    """Either of the two that can be resized."""

    EXAMPLES: ClassVar[Examples] = ({"volume": {"size": 2}}, {"flavorRef": "big-one"})

    volume: SizeBody | None = None
    flavor_ref: int | str | None = msgspec.field(default=None, name="flavorRef")

    @property
    def policy(self) -> str:
        """Trove has a policy for each."""
        return "instance:resize_volume" if self.volume else "instance:resize_flavor"


def accept(request: Request, asked: ResizeBody) -> Response:
    """Accept one operation; the database may be down, since its size may be the reason to ask."""
    if (asked.volume is None) == (asked.flavor_ref is None):
        raise BadRequest("A resize has either a 'volume' or a 'flavorRef'.")
    if asked.volume is not None:
        size = instances.volume_size(asked.volume.size, settings().max_volume_size)
        return accepting.accept(request, RESIZE_VOLUME, lambda row: _larger(row, size))
    wanted, catalog = instances.flavor_id(asked.flavor_ref), request.catalog
    return accepting.accept(request, RESIZE_FLAVOR, lambda row: _another(row, wanted, catalog))


def _larger(row: Instance, size: int) -> Wanted:
    """Decided by the size as it was read: another resize may have begun and ended meanwhile.

    One that could not see its end still holds what the volume may have come to.
    """
    now = int(row.volume_size)
    if size <= now:
        raise BadRequest(
            f"The new volume 'size' must be larger than the current volume size of '{now}'."
        )
    require_heard(row)
    holds = {**row.held, "volumes": max(size, int(row.held.get("volumes", 0)))}
    return Wanted({"volume_size": size}, holds=holds, decided_by=("volume_size",))


def _another(row: Instance, wanted: str, catalog: Catalog) -> Wanted:
    """Decided by the flavor as it was read.

    With a fault the same flavor may be asked for: a resize may have failed after Nova's part.
    Refused as by Trove, and a smaller disk because Nova would let the server go on as it was. What
    is held is the larger of both, and goes back by the difference at the end.
    """
    if wanted == row.flavor_id and row.fault_message is None:
        raise BadRequest(
            f"The new flavor id must be different from the current flavor id of '{row.flavor_id}'."
        )
    flavor = choices.choose_flavor(catalog, wanted)
    version = catalog.find(lambda copy: copy.version(row.datastore_version_id))
    choices.require_flavor(version, flavor.id)
    if flavor.ephemeral:
        raise NotSupported("A flavor with a local disk of its own is not supported.")
    now = catalog.find(lambda copy: copy.flavor(row.flavor_id))
    if now is not None and flavor.disk < now.disk:
        raise BadRequest(
            f"The disk of flavor '{flavor.id}' ({int(flavor.disk)} GiB) is smaller than the "
            f"server's ({int(now.disk)} GiB)."
        )
    require_heard(row)
    name = now.name if now else row.flavor_id
    sizes: dict[str, Any] = {
        "flavor": _size(flavor.id, flavor.name, flavor.ram, flavor.vcpus),
        "before": _size(row.flavor_id, name, row.flavor_ram, row.flavor_vcpus),
        "epoch": epoch_of(row.id, int(row.generation)),
    }
    holds = {**row.held, "ram": max(int(flavor.ram), int(row.held.get("ram", 0)))}
    return Wanted(sizes, holds=holds, decided_by=("flavor_id",))


def _size(flavor_id: str, name: str, ram: float, vcpus: float) -> dict[str, Any]:
    return {"id": flavor_id, "name": name, "ram": int(ram), "vcpus": int(vcpus)}
