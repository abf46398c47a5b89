"""What guest agents ask over HTTPS: to be let in, and to go on. Their proofs are in the bodies."""

from __future__ import annotations

from typing import Final

from chalicelib.api.frame import Request, Response, Route
from chalicelib.conductor.enrolment import Enrol, Renew, enrol, renew


def post_enrol(request: Request) -> Response:
    """POST /guest/v1/enrol: the first start of an agent."""
    return Response(200, enrol(request.json(Enrol), request.audit.request_id))


def post_renew(request: Request) -> Response:
    """POST /guest/v1/renew: later starts, and new credentials."""
    return Response(200, renew(request.json(Renew)))


ROUTES: Final = (
    Route("POST", "/guest/v1/enrol", post_enrol, public=True),
    Route("POST", "/guest/v1/renew", post_renew, public=True),
)
