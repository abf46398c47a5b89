"""An error as a body: Trove's fault, or a problem document (RFC 9457) for whoever asks for one.

Apart from the API, since what stands in front of it refuses requests too.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec

from chalicelib.errors import CofferError, Fault, OverLimit

PROBLEM: Final = "application/problem+json"
JSON: Final = "application/json"


class Problem(msgspec.Struct, frozen=True):
    """A problem document of RFC 9457.

    Its `type` is `about:blank`, so that its title is that of the status; `fault` is Trove's name
    for it, `instance` the id under which the log has it. A limit may add the last two; seconds.
    """

    type: str
    title: str
    status: int
    detail: str
    fault: str
    instance: str | msgspec.UnsetType = msgspec.UNSET
    details: str | msgspec.UnsetType = msgspec.UNSET
    retry_after: int | msgspec.UnsetType = msgspec.UNSET


def told(
    error: CofferError, accept: str, request_id: str = ""
) -> tuple[str, Problem | dict[str, Fault]]:
    """The media type and the body that tell of an error."""
    return (PROBLEM, problem(error, request_id)) if asked_for(accept) else (JSON, error.body())


def problem(error: CofferError, request_id: str = "") -> Problem:
    """An error as a problem document."""
    more: dict[str, Any] = {}
    if isinstance(error, OverLimit):
        if error.details:
            more["details"] = error.details
        if error.retry_after_seconds is not None:
            more["retry_after"] = error.retry_after_seconds
    return Problem(
        type="about:blank",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.message,
        fault=error.fault,
        instance=request_id or msgspec.UNSET,
        **more,
    )


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
