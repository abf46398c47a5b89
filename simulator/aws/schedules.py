"""EventBridge rules on a schedule: `rate(…)` expressions that invoke a function asynchronously."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from simulator.aws.lambda_ import Lambda
from simulator.kernel import Kernel

_RATE: Final = re.compile(r"rate\((\d+) (minute|minutes|hour|hours|day|days)\)")
_SECONDS: Final = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}


def rate_seconds(expression: str) -> float:
    """Seconds between two events of a rate expression; ValueError for anything else.

    As the service has it: the unit is singular exactly when the value is 1.
    """
    match = _RATE.fullmatch(expression)
    if match is None or int(match[1]) < 1:
        raise ValueError(f"{expression!r} is not a rate expression such as 'rate(5 minutes)'")
    if (int(match[1]) == 1) == match[2].endswith("s"):
        raise ValueError(f"{expression!r}: the unit must be singular for 1 and plural otherwise")
    return int(match[1]) * _SECONDS[match[2].removesuffix("s")]


class Schedule:
    """One rule: the first event comes one period after it was made."""

    __slots__ = (
        "_kernel",
        "_lambda",
        "_serial",
        "event",
        "fired",
        "function_name",
        "name",
        "seconds",
    )

    def __init__(
        self,
        kernel: Kernel,
        lambda_: Lambda,
        name: str,
        expression: str,
        function_name: str,
        event: dict[str, Any] | None = None,
    ) -> None:
        self._kernel = kernel
        self._lambda = lambda_
        self._serial = 0
        self.name = name
        self.seconds = rate_seconds(expression)
        self.function_name = function_name
        self.event = event
        self.fired = 0
        self.enable()

    def enable(self) -> None:
        """Begin (again): the next event is one period away."""
        self._serial += 1
        self._kernel.call_later(self.seconds, self._due, self._serial)

    def disable(self) -> None:
        """No more events until it is enabled."""
        self._serial += 1

    def fire(self) -> None:
        """Send one event now (a duplicate, for a fault; the service delivers at least once)."""
        self.fired += 1
        self._lambda.send(self.function_name, self.event or self._envelope(), "events")

    def _due(self, serial: int) -> None:
        if serial == self._serial:
            self._kernel.call_later(self.seconds, self._due, serial)
            self.fire()

    def _envelope(self) -> dict[str, Any]:
        when = datetime.fromtimestamp(self._kernel.now, UTC)
        return {
            "version": "0",
            "id": f"00000000-0000-4000-b000-{self.fired:012x}",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "000000000000",
            "time": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": "us-east-1",
            "resources": [f"arn:aws:events:us-east-1:000000000000:rule/{self.name}"],
            "detail": {},
        }
