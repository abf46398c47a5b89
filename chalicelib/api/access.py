"""Who may reach an instance: as a create says it, and as it is changed later."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from chalicelib.api import accepting
from chalicelib.api.accepting import Wanted
from chalicelib.api.frame import Request, Response
from chalicelib.api.schema import Body, Text
from chalicelib.domain import bounds, instances
from chalicelib.domain.flows import UPDATE_ACCESS
from chalicelib.store.models import Instance

Cidrs = Annotated[list[Text], msgspec.Meta(max_length=bounds.MAX_ALLOWED_CIDRS)]


class AccessBody(Body, frozen=True):
    """Who may reach the database."""

    is_public: bool | None = None
    allowed_cidrs: Cidrs | None = None

    def changing(self, current: dict[str, Any] | None) -> dict[str, Any]:
        """The whole access, as the task manager reads it: what is not named stays as it is."""
        known = current or {}
        cidrs = known.get("allowed_cidrs") if self.allowed_cidrs is None else self.allowed_cidrs
        public = known.get("is_public") if self.is_public is None else self.is_public
        return {"is_public": bool(public), "allowed_cidrs": instances.allowed_cidrs(cidrs)}


def accept(request: Request, changes: AccessBody) -> Response:
    """Accept one operation that changes the access of the instance in the path."""
    return accepting.accept(request, UPDATE_ACCESS, lambda row: _wanted(row, changes))


def _wanted(row: Instance, changes: AccessBody) -> Wanted:
    """What of the access is not changed is kept, unless another change has ended meanwhile."""
    return Wanted(changes.changing(row.access), decided_by=("access",))
