"""I26: of an instance's guests at most one is heard: what a replaced one says changes nothing."""

from __future__ import annotations

from typing import Final

from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.rows import changed

LATE_SECONDS: Final = 30.0
"""Who read the row before the guest was replaced may write so long after it: a function's life."""


class OneGuest(Invariant):
    """Looks at each write that a guest causes, and at whose generation is the present one then.

    A generation never comes back, and the two rows that tell it say the same.
    """

    id = "I26"
    title = "At most one guest of an instance is heard, and a replaced one changes nothing"

    def watch(self) -> None:
        self._since: dict[str, float] = {}
        """When each instance got its present generation."""
        self.hub.on_write("instances", self._instance)
        self.hub.on_write("service-statuses", self._status)
        self.hub.on_write("commands", self._command)
        self.hub.on_write("guests", self._guest)

    def _instance(self, old: Item | None, new: Item | None) -> None:
        if old is None or new is None or not changed(old, new, "generation"):
            return
        self.exercised += 1
        self._since[new["id"]] = self.hub.run.kernel.now
        if new["generation"] < old["generation"] and not self.hub.restoring:
            text = f"generation {old['generation']} was followed by {new['generation']}"
            self.broken(text, new["id"])
        self.hub.soon(self._agree, new["id"])

    def _agree(self, instance_id: str) -> None:
        row = self.hub.row("instances", instance_id)
        reported = self.hub.row("service-statuses", instance_id)
        if row is None or reported is None or self.hub.restoring:
            return
        if row["generation"] != reported["generation"]:
            text = f"the guest is of generation {row['generation']}, "
            text += f"heard is {reported['generation']}"
            self.broken(text, instance_id)

    def _status(self, old: Item | None, new: Item | None) -> None:
        if old is not None and new is not None and changed(old, new, "epoch", "seq", "status"):
            self.exercised += 1
            self.hub.soon(self._agree, str(new["instance_id"]))

    def _command(self, old: Item | None, new: Item | None) -> None:
        if old is None or new is None or not changed(old, new, "answered", "stage"):
            return
        self._heard(f"{new.get('method')} {new['id']} was answered", new)

    def _guest(self, old: Item | None, new: Item | None) -> None:
        if new is not None and changed(old, new, "epoch", "issued_at_ms"):
            self._heard("a session was given", new)

    def _heard(self, what: str, new: Item) -> None:
        """Something was taken from a guest, or given to it, that has to be the present one."""
        instance_id = str(new["instance_id"])
        row = self.hub.row("instances", instance_id)
        if row is None or self.hub.restoring:
            return
        self.exercised += 1
        late = self.hub.run.kernel.now - self._since.get(instance_id, 0.0)
        if new["generation"] != row["generation"] and late > LATE_SECONDS:
            text = f"{what} by generation {new['generation']}, {late:.0f} s after it was replaced "
            self.broken(f"{text}by {row['generation']}", instance_id)
