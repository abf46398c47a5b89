"""The administrators' action `migrate`: the server of an instance goes to another host."""

from __future__ import annotations

from typing import ClassVar

from chalicelib.api import accepting
from chalicelib.api.accepting import Wanted
from chalicelib.api.frame import Request, Response
from chalicelib.api.schema import Body, Examples, Name
from chalicelib.bus.ability import require_heard
from chalicelib.domain.flows import MIGRATE
from chalicelib.store.guests import epoch_of
from chalicelib.store.models import Instance


class MigrateBody(Body, frozen=True):
    """The host to go to, or Nova's choice. Nobody can be asked here whether there is one."""

    EXAMPLES: ClassVar[Examples] = ({}, {"host": "compute-2"})

    host: Name | None = None


def accept(request: Request, asked: MigrateBody) -> Response:
    """Accept one operation; the database may be down, as for Trove."""
    return accepting.accept(request, MIGRATE, lambda row: _wanted(row, asked.host))


def _wanted(row: Instance, host: str | None) -> Wanted:
    require_heard(row)
    flavor = {"ram": int(row.flavor_ram), "vcpus": int(row.flavor_vcpus)}
    arguments = {"host": host, "flavor": flavor, "epoch": epoch_of(row.id, int(row.generation))}
    return Wanted(arguments, decided_by=("flavor_id",))
