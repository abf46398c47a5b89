"""The errors of the services, as botocore raises them."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError


def client_error(
    code: str, operation: str, message: str = "", *, status: int = 400, **more: Any
) -> ClientError:
    """The error that botocore raises for an error code; `more` are further keys of the response."""
    return _error(ClientError, {"Code": code, "Message": message}, operation, status, more)


def throttled(service: str, operation: str) -> ClientError:
    """What a service answers to more than it takes."""
    code, status = _THROTTLES.get(service, ("ThrottlingException", 400))
    return client_error(code, operation, "Rate exceeded", status=status)


def unavailable(service: str, operation: str) -> ClientError:
    """A 5xx: nobody knows whether the call took effect."""
    code, status = _FAILURES.get(service, ("InternalFailure", 500))
    return client_error(code, operation, "The server encountered an internal error", status=status)


class Exceptions:
    """`client.exceptions`: the modeled errors of a service, by name."""

    def __init__(self, **codes: str) -> None:
        self._codes = codes
        self._classes = {name: type(name, (ClientError,), {}) for name in codes}

    def __getattr__(self, name: str) -> type[ClientError]:
        found: dict[str, type[ClientError]] = self.__dict__.get("_classes", {})
        if name == "ClientError":
            base: type[ClientError] = ClientError
            return base
        if name not in found:
            raise AttributeError(f"no modeled exception is called {name}")
        return found[name]

    def make(self, name: str, operation: str, message: str = "", status: int = 400) -> ClientError:
        """An error of a modeled class."""
        error = {"Code": self._codes[name], "Message": message, "Type": "Sender"}
        if self._codes[name] != name:
            error["QueryErrorCode"] = name
        return _error(self._classes[name], error, operation, status, {})


def _error(
    kind: type[ClientError], error: dict[str, str], operation: str, status: int, more: Any
) -> ClientError:
    body = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return kind(body, operation)


_THROTTLES: Final = {
    "dynamodb": ("ThrottlingException", 400),
    "s3": ("SlowDown", 503),
    "sqs": ("RequestThrottled", 403),
    "sts": ("Throttling", 400),
}
_FAILURES: Final = {
    "dynamodb": ("InternalServerError", 500),
    "s3": ("InternalError", 500),
    "sqs": ("InternalFailure", 500),
}
