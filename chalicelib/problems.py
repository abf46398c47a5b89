"""An error as a body: Trove's fault, or a problem document (RFC 9457) for whoever asks for one.

Apart from the API, since what stands in front of it refuses requests too.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from chalicelib.errors import CofferError, OverLimit

PROBLEM: Final = "application/problem+json"
JSON: Final = "application/json"


def told(error: CofferError, accept: str, request_id: str = "") -> tuple[str, dict[str, Any]]:
    """The media type and the body that tell of an error.

    A problem's `type` is `about:blank`, so that its title is that of the status; `fault` is Trove's
    name for it, `instance` the id under which the log has it.
    """
    if not asked_for(accept):
        return JSON, error.body()
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "fault": error.fault,
    }
    if request_id:
        document["instance"] = request_id
    if isinstance(error, OverLimit):
        if error.details:
            document["details"] = error.details
        if error.retry_after_seconds is not None:
            document["retry_after"] = error.retry_after_seconds
    return PROBLEM, document


def asked_for(accept: str) -> bool:
    """Whether an `Accept` header names problem documents; a wildcard does not: clients of Trove's
    API send one, and read faults."""
    for each in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        if kind == PROBLEM:
            return not any(_refuses(parameter) for parameter in parameters)
    return False


def _refuses(parameter: str) -> bool:
    """Whether a parameter is a quality of zero."""
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")
