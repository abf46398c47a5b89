"""I18: whatever was accepted of a tenant says who asked for it, and with which request."""

from __future__ import annotations

from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant


class WhoAsked(Invariant):
    """Looks at each event that is written."""

    id = "I18"
    title = "Every change that was accepted says who asked for it, and with which request"

    def watch(self) -> None:
        self.hub.on_write("events", self._written)

    def _written(self, old: Item | None, new: Item | None) -> None:
        if old is not None or new is None or not str(new["kind"]).endswith(".accepted"):
            return
        self.exercised += 1
        said = ("user_id", "user_tenant_id", "request_id")
        if missing := [name for name in said if not new.get(name)]:
            self.broken(f"{new['kind']} without {' and '.join(missing)}", str(new["scope"]))
