"""Every error a user can meet, each with its HTTP status and Trove's fault name.

    CofferError
    ├── BadRequest                      400 badRequest
    │   ├── FlavorNotFound              400 (Trove maps it so)
    │   └── DatastoreVersionNotFound    400 (Trove maps it so)
    ├── Unauthorized                    401 unauthorized
    │   └── AdminRequired               401 (Trove answers 401 on admin routes)
    ├── Forbidden                       403 forbidden
    ├── NotFound                        404 itemNotFound
    ├── MethodNotAllowed                405 badMethod
    ├── NotAcceptable                   406 notAcceptable
    ├── Conflict                        409 conflict
    ├── Gone                            410 gone
    ├── OverLimit                       413 overLimit
    ├── UnsupportedMediaType            415 badMediaType
    ├── Unprocessable                   422 unprocessableEntity
    ├── InternalError                   500 instanceFault
    ├── NotSupported                    501 notImplemented
    ├── GuestFailed                     502 badGateway (Trove: 400)
    └── Unavailable                     503 serviceUnavailable
        └── GuestTimeout                503

Source: Trove's `wsgi` fault map; where Trove falls through to 400 or 500 by accident and no client
depends on it, the sane code stands here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec


class Fault(msgspec.Struct, frozen=True, rename={"retry_after": "retryAfter"}):
    """What stands under the fault's name; `details` and `retryAfter` where there are some."""

    code: int
    message: str
    details: str | msgspec.UnsetType = msgspec.UNSET
    retry_after: str | msgspec.UnsetType = msgspec.UNSET


class CofferError(Exception):
    """An error with a message for the user; `status` and `fault` say how it is answered."""

    status: ClassVar[int] = 500
    fault: ClassVar[str] = "instanceFault"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def body(self) -> dict[str, Fault]:
        """Trove's fault body: `{"<fault>": {"code": N, "message": "…"}}`."""
        return {self.fault: Fault(self.status, self.message)}


class BadRequest(CofferError):
    """The request cannot be understood or breaks a rule."""

    status = 400
    fault = "badRequest"


class FlavorNotFound(BadRequest):
    """The flavor named in a body does not exist."""


class DatastoreVersionNotFound(BadRequest):
    """The datastore or version named in a body does not exist or is not active."""


class Unauthorized(CofferError):
    """The token is missing, unknown, expired or revoked."""

    status = 401
    fault = "unauthorized"


class AdminRequired(Unauthorized):
    """The route needs the admin role."""


class Forbidden(CofferError):
    """The policy does not allow it."""

    status = 403
    fault = "forbidden"


class NotFound(CofferError):
    """Nothing of that id or name exists for this caller."""

    status = 404
    fault = "itemNotFound"


class MethodNotAllowed(CofferError):
    """The path exists, the method does not; those that do are named with it (RFC 9110)."""

    status = 405
    fault = "badMethod"

    def __init__(self, message: str, allowed: Iterable[str]) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class NotAcceptable(CofferError):
    """No representation that the client accepts."""

    status = 406
    fault = "notAcceptable"


class Conflict(CofferError):
    """The request collides with the state of the resource."""

    status = 409
    fault = "conflict"


class Gone(CofferError):
    """The guest that asks has been superseded or its instance is gone."""

    status = 410
    fault = "gone"


class OverLimit(CofferError):
    """A quota or a rate limit is exceeded. A rate limit says when to try again."""

    status = 413
    fault = "overLimit"

    def __init__(
        self, message: str, *, details: str = "", retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(message)
        self.details = details
        self.retry_after_seconds = retry_after_seconds

    def body(self) -> dict[str, Fault]:
        """With Trove's `details` and `retryAfter` (a string) where there are some."""
        after = self.retry_after_seconds
        told = Fault(
            self.status,
            self.message,
            self.details or msgspec.UNSET,
            str(after) if after is not None else msgspec.UNSET,
        )
        return {self.fault: told}


class UnsupportedMediaType(CofferError):
    """The body is not JSON."""

    status = 415
    fault = "badMediaType"


class Unprocessable(CofferError):
    """The instance is not in a state that allows the action."""

    status = 422
    fault = "unprocessableEntity"


class InternalError(CofferError):
    """Something unexpected happened; the log has it under the request id."""


class NotSupported(CofferError):
    """The datastore or this release does not do that."""

    status = 501
    fault = "notImplemented"


class GuestFailed(CofferError):
    """The guest agent failed the call, or answered what is no answer to it."""

    status = 502
    fault = "badGateway"


class Unavailable(CofferError):
    """A service behind the API is busy or away; the same request may be sent again."""

    status = 503
    fault = "serviceUnavailable"


class GuestTimeout(Unavailable):
    """The guest agent did not answer within the deadline."""
