"""The action `resize`: a larger volume."""

from __future__ import annotations

import msgspec

from chalicelib.api import accepting
from chalicelib.api.accepting import Wanted
from chalicelib.api.frame import Request, Response
from chalicelib.api.guest_calls import require_heard
from chalicelib.api.schema import Body
from chalicelib.domain import instances
from chalicelib.domain.flows import RESIZE_VOLUME
from chalicelib.errors import BadRequest, NotSupported
from chalicelib.settings import settings
from chalicelib.store.models import Instance


class SizeBody(Body, frozen=True):
    """The size in GiB; digits in a string are fine."""

    size: int | str


class ResizeBody(Body, frozen=True):
    """Either of the two that can be resized."""

    volume: SizeBody | None = None
    flavor_ref: int | str | None = msgspec.field(default=None, name="flavorRef")

    @property
    def policy(self) -> str:
        """Trove has a policy for each."""
        return "instance:resize_volume" if self.volume else "instance:resize_flavor"


def accept(request: Request, asked: ResizeBody) -> Response:
    """Accept one operation; the database may be down, since a full volume is a reason to ask."""
    if (asked.volume is None) == (asked.flavor_ref is None):
        raise BadRequest("A resize has either a 'volume' or a 'flavorRef'.")
    if asked.volume is None:
        raise NotSupported("A resize to another flavor is not supported yet.")
    size = instances.volume_size(asked.volume.size, settings().max_volume_size)
    return accepting.accept(request, RESIZE_VOLUME, lambda row: _larger(row, size))


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
