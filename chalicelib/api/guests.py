"""What guest agents ask over HTTPS: to be let in, to go on, and for the object store of backups.

Their proofs are in the bodies.
"""

from __future__ import annotations

from typing import Final

from chalicelib.api.frame import Request, Response, Route
from chalicelib.conductor.enrolment import Admission, Enrol, Renew, enrol, renew
from chalicelib.conductor.storage import Ask, AskPieces, Pieces, Storage, list_pieces, storage
from chalicelib.errors import CofferError, Conflict, Gone, OverLimit, Unauthorized

REFUSALS: Final[tuple[type[CofferError], ...]] = (Unauthorized, Conflict, Gone, OverLimit)
"""A proof that is none, a place that is taken or gone, and a guest that asks too often."""


def post_enrol(request: Request) -> Response:
    """A guest agent's first start: its key is bound to the instance."""
    return _let_in(request, enrol(request.json(Enrol), request.audit.request_id))


def post_renew(request: Request) -> Response:
    """A guest agent's later starts, and new credentials."""
    return _let_in(request, renew(request.json(Renew)))


def post_storage(request: Request) -> Response:
    """What a guest agent needs to write a backup, or to read the one it is restored from."""
    asked = request.json(Ask)
    lent = storage(asked)
    request.audit.instance_id = asked.instance_id
    return Response(200, lent)


def post_pieces(request: Request) -> Response:
    """Which pieces of a log a guest agent replays that is restored to a moment."""
    asked = request.json(AskPieces)
    found = list_pieces(asked)
    request.audit.instance_id = asked.instance_id
    return Response(200, found)


def _let_in(request: Request, admission: Admission) -> Response:
    """The answer; only now the request's line may say whose it was."""
    request.audit.instance_id = admission.instance_id
    return Response(200, admission)


ROUTES: Final = (
    Route(
        "POST",
        "/guest/v1/enrol",
        post_enrol,
        public=True,
        reads=Enrol,
        answers=Admission,
        refuses=REFUSALS,
    ),
    Route(
        "POST",
        "/guest/v1/renew",
        post_renew,
        public=True,
        reads=Renew,
        answers=Admission,
        refuses=REFUSALS,
    ),
    Route(
        "POST",
        "/guest/v1/storage",
        post_storage,
        public=True,
        reads=Ask,
        answers=Storage,
        refuses=REFUSALS,
    ),
    Route(
        "POST",
        "/guest/v1/pieces",
        post_pieces,
        public=True,
        reads=AskPieces,
        answers=Pieces,
        refuses=REFUSALS,
    ),
)
