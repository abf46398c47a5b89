"""Faults on demand (simulation.md, F15): the next N matching calls go wrong in the chosen way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    "error": "what builds, changes or deletes a server or a volume ends in ERROR; others are 500",
    "unavailable": "503 before any effect",
    "stuck": "accepted, and never gets out of its transitional state",
    "timeout_after": "504 after the effect",
    "not_found": "404, whatever exists",
    "slow_delete": "the delete takes `seconds` longer (default: the cloud's slow_delete delay)",
    "seen_again": "servers deleted within `seconds` (default 60) are listed as they were before",
    "left_as_it_was": "what was accepted ends as if nobody had asked: no host, or backend, does it",
    "not_in_use": "400 for a volume in a server, as of a Cinder that extends none",
    "vanish": "the resource goes without a trace: at create once it is ready, else at the call",
}
CALLS = {
    "identity": frozenset({"create_token", "validate_token"}),
    "compute": frozenset(
        {
            "attach_volume",
            "confirm_resize",
            "create_server",
            "create_server_group",
            "delete_server",
            "delete_server_group",
            "detach_volume",
            "get_flavor",
            "get_server",
            "get_server_action",
            "list_flavors",
            "list_server_actions",
            "list_server_groups",
            "list_servers",
            "list_zones",
            "migrate_server",
            "reboot_server",
            "rebuild_server",
            "resize_server",
            "revert_resize",
            "set_server_metadata",
            "start_server",
            "stop_server",
            "update_server",
        }
    ),
    "network": frozenset(
        {
            "create_floatingip",
            "create_network",
            "create_port",
            "create_security_group",
            "create_security_group_rule",
            "create_subnet",
            "delete_floatingip",
            "delete_network",
            "delete_port",
            "delete_security_group",
            "delete_security_group_rule",
            "delete_subnet",
            "get_network",
            "get_port",
            "get_security_group",
            "get_subnet",
            "list_floatingips",
            "list_networks",
            "list_ports",
            "list_security_group_rules",
            "list_security_groups",
            "list_subnets",
            "update_port",
            "update_security_group",
        }
    ),
    "volume": frozenset(
        {
            *("create_snapshot", "delete_snapshot", "list_snapshots"),
            "create_volume",
            "delete_volume",
            "extend_volume",
            "get_type_access",
            "get_volume",
            "list_types",
            "list_volumes",
            "update_volume",
        }
    ),
    "image": frozenset({"create_image", "delete_image", "get_image", "list_images"}),
    "object_store": frozenset(
        {
            *("put_container", "post_container", "delete_container"),
            *("put_object", "post_object", "get_object", "head_object", "delete_object"),
        }
    ),
}

# Modes that only some calls can show; every other mode works on every call.
_CALLS_OF_MODE = {
    "stuck": {
        *("create_server", "delete_server", "reboot_server", "rebuild_server"),
        *("resize_server", "migrate_server", "confirm_resize", "revert_resize"),
        *("create_volume", "delete_volume", "extend_volume", "delete_port"),
        *("create_snapshot", "delete_snapshot"),
    },
    "left_as_it_was": {
        *("resize_server", "migrate_server", "extend_volume"),
        *("delete_volume", "delete_snapshot"),
    },
    "not_in_use": {"extend_volume"},
    "slow_delete": {"delete_server", "delete_volume", "delete_snapshot"},
    "seen_again": {"list_servers"},
    "vanish": {
        *("create_server", "get_server", "delete_server"),
        *("create_volume", "get_volume", "get_port"),
    },
}
_ENDS_IN_ERROR = {
    *("create_server", "delete_server", "reboot_server", "rebuild_server"),
    *("resize_server", "migrate_server", "confirm_resize", "revert_resize"),
    *("create_volume", "delete_volume", "extend_volume"),
    *("create_snapshot", "delete_snapshot"),
}
_QUOTA_STATUS = {"compute": 403, "volume": 413, "network": 409, "object_store": 413}


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
        self.draw: Callable[[str, str, str], Fault | None] | None = None
        """Asked for each call that no armed fault takes: its service, its name, its resource."""

    @staticmethod
    def fits(mode: str, call: str) -> bool:
        """Whether a call can show a mode."""
        return mode not in _CALLS_OF_MODE or call in _CALLS_OF_MODE[mode]

    def arm(self, fault: Fault) -> Fault:
        """Add a fault; BadRequest for a mode, service or call that does not exist or fit."""
        if fault.mode not in MODES:
            raise BadRequest(f"Unknown mode {fault.mode!r}; one of {', '.join(sorted(MODES))}.")
        calls = CALLS.get(fault.service)
        if calls is None:
            raise BadRequest(f"Unknown service {fault.service!r}; one of {', '.join(CALLS)}.")
        if fault.call not in calls:
            raise BadRequest(f"Unknown call {fault.call!r}; one of {', '.join(sorted(calls))}.")
        fitting = _CALLS_OF_MODE.get(fault.mode, calls)
        if fault.call not in fitting:
            raise BadRequest(f"Mode {fault.mode!r} is for {', '.join(sorted(fitting))}.")
        if fault.count < 1:
            raise BadRequest("A fault needs a count of at least 1.")
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
        assert call in CALLS[service], f"{call} is missing in the table of calls"
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
        return self.draw(service, call, name) if self.draw is not None else None


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
    if fault.mode == "error" and fault.call not in _ENDS_IN_ERROR:
        return InternalError(
            "An unexpected error prevented the server from fulfilling the request."
        )
    return None
