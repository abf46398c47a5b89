"""The one place that every call of a simulated client passes: latency, faults, counting.

A call is an effect: it leaves the process. Around it the coroutine gives up control, and the hooks
of the run may let it die, refuse it, or lose its reply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from simulator.kernel import Kernel

T = TypeVar("T")

LATENCY_SECONDS: Final = 0.004
ATTEMPTS: Final = 4
"""How often botocore makes a call, as `chalicelib.aws` configures it (mode "standard")."""
LONGEST_BACKOFF_SECONDS: Final = 20.0
_BY_BOTOCORE: Final = frozenset({"dynamodb", "kms", "s3", "sqs", "ssm", "stepfunctions", "sts"})
_TRANSIENT: Final = frozenset(
    {
        *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled"),
        *("TooManyRequestsException", "ProvisionedThroughputExceededException", "SlowDown"),
        *("TransactionInProgressException", "RequestThrottledException", "InternalFailure"),
        *("RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete"),
    }
)


class Effect:
    """One call, as hooks see it: `what` are its arguments, by the client's names."""

    __slots__ = ("call", "owner", "scope", "service", "what")

    def __init__(
        self, service: str, call: str, scope: str, owner: object, what: dict[str, Any]
    ) -> None:
        self.service = service
        self.call = call
        self.scope = scope
        self.owner = owner
        self.what = what


class Hook(Protocol):
    """What a fault does around an effect; each may raise the service's error or kill the caller."""

    def before(self, effect: Effect) -> None:
        """The call has not reached the service: an error raised here means nothing happened."""

    def after(self, effect: Effect) -> None:
        """The call took effect: an error raised here loses the reply."""


class Effects:
    """Counts every call by (scope, service, call) and lets the hooks act on it."""

    def __init__(self, kernel: Kernel, latency_seconds: float = LATENCY_SECONDS) -> None:
        self.kernel = kernel
        self.outsider: str | None = None
        """Who calls from outside of any coroutine; None when those calls are no effects."""
        self._latency_seconds = latency_seconds
        self.hooks: list[Hook] = []
        self.calls: Counter[tuple[str, str, str]] = Counter()
        """By scope, service and call."""
        self.made: Counter[tuple[str, str]] = Counter()
        """The same by service and call alone, of which there are few."""
        self.retries: Counter[str] = Counter()
        """Calls that botocore made again, by service."""
        self._latency = kernel.stream("latency")

    def perform(self, service: str, call: str, function: Callable[[], T], **what: Any) -> T:
        """Make one call, again when botocore would; outside a coroutine (setting up, checking) it
        is made directly, unless that is somebody too.

        A retry repeats the same request: the same client token, and a condition that the first
        attempt may have made false.
        """
        effect = self._effect(service, call, what)
        if effect is None:
            return function()
        for attempt in range(1, ATTEMPTS):
            try:
                return self._once(effect, function)
            except (ClientError, NoConnection, HTTPClientError) as error:
                if service not in _BY_BOTOCORE or not _is_transient(error):
                    raise
            self.retries[service] += 1
            pause = min(2.0 ** (attempt - 1), LONGEST_BACKOFF_SECONDS)
            self.kernel.sleep(pause * self._latency.random())
        return self._once(effect, function)

    def perform_once(self, service: str, call: str, function: Callable[[], T], **what: Any) -> T:
        """The same of a client that is not botocore's, and tries again by itself."""
        effect = self._effect(service, call, what)
        return function() if effect is None else self._once(effect, function)

    def _effect(self, service: str, call: str, what: dict[str, Any]) -> Effect | None:
        """The call as hooks see it; None when it is none of theirs."""
        running = self.kernel.current
        if running is not None:
            return Effect(service, call, running.name, running.owner, what)
        if self.outsider is not None:
            return Effect(service, call, self.outsider, None, what)
        return None

    def _once(self, effect: Effect, function: Callable[[], T]) -> T:
        self.calls[effect.scope, effect.service, effect.call] += 1
        self.made[effect.service, effect.call] += 1
        hooks = self.hooks
        for hook in hooks:
            hook.before(effect)
        self.kernel.sleep(self._latency_seconds * (0.5 + self._latency.random()))
        result = function()
        for hook in hooks:
            hook.after(effect)
        return result


def _is_transient(error: Exception) -> bool:
    """Whether botocore's standard mode tries again."""
    if not isinstance(error, ClientError):
        return True
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response["Error"]["Code"]
    return code in _TRANSIENT or status in (500, 502, 503, 504)
