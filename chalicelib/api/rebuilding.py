"""The administrators' action `rebuild`: a new root disk and a new guest, with the data kept."""

from __future__ import annotations

from typing import ClassVar

from chalicelib.api import accepting
from chalicelib.api.accepting import Wanted
from chalicelib.api.frame import Request, Response
from chalicelib.api.guest_calls import instance_of
from chalicelib.api.schema import Body, Examples, Name
from chalicelib.conductor import generations
from chalicelib.domain.flows import REBUILD, REBUILD_STOPPED
from chalicelib.errors import Unprocessable
from chalicelib.lifecycle import Status
from chalicelib.store.models import Instance


class RebuildBody(Body, frozen=True):
    """The image of the new root disk. Nobody can be asked here whether there is one."""

    EXAMPLES: ClassVar[Examples] = ({"image_id": "6e6c1a3b-65a1-4d2f-9a55-0d6f6a0f1c11"},)

    image_id: Name


def accept(request: Request, asked: RebuildBody) -> Response:
    """Accept one operation, whatever the guest is at: it may be what is wrong.

    What is stopped is stopped again afterwards, by a flow of its own.
    """
    stopped = instance_of(request).status == Status.STOPPED
    flow = REBUILD_STOPPED if stopped else REBUILD
    return accepting.accept(request, flow, lambda row: _wanted(row, asked.image_id))


def _wanted(row: Instance, image_id: str) -> Wanted:
    """What a create did not make, or a delete began to take away, has nothing to go on with."""
    if not {"server_id", "volume_id"} <= set(row.resources):
        raise Unprocessable(f"Instance {row.id} has no server to rebuild; delete it.")
    generations.require_next(row)
    return Wanted({"image_id": image_id, "was": row.status}, decided_by=("generation",))
