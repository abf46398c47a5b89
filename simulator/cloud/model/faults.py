"""Faults on demand (simulation.md, F15): the next N matching calls go wrong in the chosen way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from simulator.cloud.model.errors import (
    BadRequest,
    CloudError,
    Forbidden,
    GatewayTimeout,
    InternalError,
    NotFound,
    QuotaExceeded,
    Unavailable,
)

MODES = {
    "refuse": "403 before any effect",
    "quota": "the service's own quota refusal, before any effect",
    "error": "a create, delete, reboot or rebuild of a server or volume ends in ERROR; else 500",
    "unavailable": "503 before any effect",
    "stuck": "accepted, and never gets out of its transitional state",
    "timeout_after": "504 after the effect",
    "not_found": "404, whatever exists",
    "slow_delete": "the delete takes `seconds` longer (default: the cloud's slow_delete delay)",
    "vanish": "the resource goes without a trace: at create once it is ready, else at the call",
}
SERVICES = ("identity", "compute", "network", "volume", "image")
ASYNCHRONOUS = {"error", "stuck", "slow_delete", "vanish"}

_QUOTA_STATUS = {"compute": 403, "volume": 413, "network": 409}


@dataclass
class Fault:
    """One armed fault: `count` more calls of `service`.`call` whose resource's name has `match`."""

    id: str
    service: str
    call: str
    mode: str
    match: str = ""
    count: int = 1
    seconds: float | None = None
    hits: int = 0


class Faults:
    """The armed faults, in the order in which they were set."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> Fault:
        """Add a fault; BadRequest when its service or mode is unknown or its count not positive."""
        if fault.mode not in MODES:
            raise BadRequest(f"Unknown mode {fault.mode!r}; one of {', '.join(sorted(MODES))}.")
        if fault.service not in SERVICES:
            raise BadRequest(f"Unknown service {fault.service!r}; one of {', '.join(SERVICES)}.")
        if not fault.call or fault.count < 1:
            raise BadRequest("A fault needs the name of a call and a count of at least 1.")
        self._armed.append(fault)
        return fault

    def clear(self) -> None:
        """Disarm everything (heal)."""
        self._armed.clear()

    def all(self) -> list[Fault]:
        """What is armed, with the calls still to come (`count`) and those hit (`hits`)."""
        return list(self._armed)

    @contextmanager
    def around(self, service: str, call: str, name: str) -> Iterator[Fault | None]:
        """Wrap a call: raises for a fault before or after the effect; yields an asynchronous one.

        A call that fails by itself inside the block keeps its own error.
        """
        fault = self._take(service, call, name)
        if fault is None:
            yield None
            return
        refusal = _refusal(fault)
        if refusal is not None:
            raise refusal
        yield fault
        if fault.mode == "timeout_after":
            raise GatewayTimeout("The server did not respond in time.")

    def _take(self, service: str, call: str, name: str) -> Fault | None:
        for fault in self._armed:
            if fault.service == service and fault.call == call and fault.match in name:
                fault.count -= 1
                fault.hits += 1
                if fault.count == 0:
                    self._armed.remove(fault)
                return fault
        return None


def _refusal(fault: Fault) -> CloudError | None:
    if fault.mode == "refuse":
        return Forbidden(f"Policy doesn't allow {fault.call} to be performed.")
    if fault.mode == "quota":
        return QuotaExceeded(
            f"Quota exceeded for {fault.call}: Requested 1, but already used 0 of 0.",
            status=_QUOTA_STATUS.get(fault.service, 403),
        )
    if fault.mode == "unavailable":
        return Unavailable("The service is unavailable.")
    if fault.mode == "not_found":
        return NotFound("The resource could not be found.")
    synchronous = not fault.call.endswith(("_server", "_volume")) or fault.call.startswith("get_")
    if fault.mode == "error" and synchronous:
        return InternalError(
            "An unexpected error prevented the server from fulfilling the request."
        )
    return None
