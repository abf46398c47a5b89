"""I17: one guest harms only itself: what other tenants see is as if it were not there."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.settings import settings
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange

PERIODS: Final = 3.0
"""So long after an instance became ACTIVE its guest has been heard of."""
ERROR: Final = "ERROR"
_UNEXPECTED: Final = frozenset({500, 502, 504})
"""What another tenant's request is never answered; its guest may be busy (503)."""


class Neighbours(Invariant):
    """Looks at replies to others and at functions while only guests are hostile (F25)."""

    id = "I17"
    title = "A guest that says anything harms nobody but its own tenant"

    def watch(self) -> None:
        self._since: dict[str, float] = {}
        """When each instance became ACTIVE, or an administrator forgot its status."""
        begin = self.hub.run.kernel.now
        self._since = {row["id"]: begin for row in self.hub.rows("instances")}
        self.hub.on_write("instances", self._instance)
        self.hub.on_write("service-statuses", self._status)
        self.hub.on_reply(self._replied)

    def _instance(self, old: Item | None, new: Item | None) -> None:
        if new is not None and new["status"] == Status.ACTIVE != (old or {}).get("status"):
            self._since[new["id"]] = self.hub.run.kernel.now

    def _status(self, _: Item | None, new: Item | None) -> None:
        if new is not None and new["status"] == ServiceStatus.UNKNOWN:
            self._since[new["instance_id"]] = self.hub.run.kernel.now

    @property
    def _looks(self) -> bool:
        return self.hub.only_hostile and bool(self.hub.hostile)

    def _replied(self, exchange: Exchange) -> None:
        tenant = exchange.tenant
        if not self._looks or tenant is None or exchange.admin or tenant in self.hub.hostile:
            return
        self.exercised += 1
        if exchange.reply.status in _UNEXPECTED:
            self.broken(f"{exchange.method} of {tenant} was answered {exchange.reply.status}")
        elif exchange.reply.status == 200 and exchange.method == "GET":
            document = exchange.reply.document or {}
            one = document.get("instance")
            for shown in document.get("instances") or ([one] if one else ()):
                self._shown(shown, tenant)

    def _shown(self, instance: dict[str, Any], tenant: str) -> None:
        since = self._since.get(instance["id"])
        if instance["status"] != Status.ACTIVE or since is None:
            return
        chosen = settings()
        if chosen.heartbeat_seconds >= chosen.heartbeat_expiry_seconds:
            return  # as silent as this a sound guest is shown as ERROR between two reports
        silent = PERIODS * chosen.heartbeat_seconds
        if instance.get("operating_status") == ERROR and self.hub.run.kernel.now > since + silent:
            self.broken(f"a healthy instance of {tenant} was shown as ERROR", instance["id"])

    def check(self) -> None:
        if not self._looks:
            return
        for name, function in self.hub.run.region.lambda_.functions.items():
            for error in function.errors:
                self.broken(f"{name} ended with {error}")
