"""What the cloud refuses, as one tree; the HTTP layer renders each error in its service's own body.

CloudError
├── BadRequest        400
├── Unauthorized      401
├── Forbidden         403
│   └── QuotaExceeded 403 Nova, 413 Cinder, 409 Neutron
├── NotFound          404
├── Conflict          409
├── InternalError     500
├── Unavailable       503
└── GatewayTimeout    504
"""

from __future__ import annotations


class CloudError(Exception):
    """A refusal with its HTTP status; `kind` is the exception's name in the real service."""

    status = 500
    kind = "CloudError"

    def __init__(self, message: str, *, kind: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind or type(self).kind
        self.status = status or type(self).status


class BadRequest(CloudError):
    """The request is malformed or names something that cannot be used so."""

    status = 400
    kind = "BadRequest"


class Unauthorized(CloudError):
    """No token, or one that does not hold."""

    status = 401
    kind = "Unauthorized"

    def __init__(self) -> None:
        super().__init__("The request you have made requires authentication.")


class Forbidden(CloudError):
    """The caller's roles do not allow it."""

    status = 403
    kind = "PolicyNotAuthorized"


class QuotaExceeded(Forbidden):
    """The project's quota does not allow it."""

    kind = "OverQuota"


class NotFound(CloudError):
    """No such thing, or none that the caller may see."""

    status = 404
    kind = "NotFound"


class Conflict(CloudError):
    """The state of the resource does not allow it now."""

    status = 409
    kind = "Conflict"


class InternalError(CloudError):
    """The service failed."""

    status = 500
    kind = "InternalServerError"


class Unavailable(CloudError):
    """The service cannot answer now."""

    status = 503
    kind = "ServiceUnavailable"


class GatewayTimeout(CloudError):
    """The answer did not come in time, though the effect may have happened."""

    status = 504
    kind = "GatewayTimeout"
