"""I40: a backup is called sound when it is whole, damaged with the reason when it is not; nothing
builds on a damaged one, and no trial stays."""

from __future__ import annotations

from chalicelib.bus import contract
from chalicelib.domain.backups import PASSED
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Hub
from simulator.invariants.i12_backup_chains import damage_of
from simulator.invariants.rows import changed, json_of, parents_of


def is_damaged(hub: Hub, row: Item) -> bool:
    """Whether a backup has failed its trial, or, not tried out itself, the nearest that was of
    those that it builds on."""
    for backup_id in (row["id"], *reversed(parents_of(row))):
        each = hub.row("backups", backup_id) or {}
        if "verdict" in each:
            return bool(each["verdict"] != PASSED)
    return False


class Verdicts(Invariant):
    """Looks into the store when a guest is asked for a trial, and when its verdict is written.

    What a fault spoils between the two a guest may have read before.
    """

    id = "I40"
    title = "A backup called sound is whole, nothing builds on a damaged one, and no trial stays"

    def watch(self) -> None:
        self._asked: dict[str, str | None] = {}
        """Of each backup that a guest was asked to try out: what was wrong with its chain then."""
        self.hub.on_write("commands", self._command)
        self.hub.on_write("backups", self._written)

    def _command(self, old: Item | None, new: Item | None) -> None:
        if old is not None or new is None or new["method"] != contract.VERIFY_BACKUP.name:
            return
        operation = self.hub.row("operations", new["operation_id"])
        backup_id = json_of(operation, "arguments")["backup"]
        self._asked[backup_id] = self._damage(backup_id)

    def _written(self, old: Item | None, new: Item | None) -> None:
        if old is None and new is not None and parents_of(new):
            self._builds(new)
        if old is None or new is None or not changed(old, new, "verified_at"):
            return
        if "verified_at" not in new or self.hub.restoring:
            return
        self.exercised += 1
        backup_id, known = new["id"], "nobody has tried it out"
        before = self._asked.pop(backup_id, known)
        if ("verdict_reason" in new) == (new["verdict"] == PASSED):
            text = f"{backup_id} is called {new['verdict']}: {new.get('verdict_reason')!r}"
            self.broken(text, new["instance_id"])
        if new["verdict"] == PASSED and before is not None:
            self.broken(f"{backup_id} is called sound, and {before}", new["instance_id"])
        if new["verdict"] != PASSED and self._damage(backup_id) is None:
            text = f"{backup_id} is whole, and is called damaged: {new.get('verdict_reason')}"
            self.broken(text, new["instance_id"])

    def _builds(self, new: Item) -> None:
        self.exercised += 1
        parent = self.hub.row("backups", parents_of(new)[-1])
        if parent is not None and is_damaged(self.hub, parent):
            text = f"{new['id']} builds on {parent['id']}, which is known to be damaged"
            self.broken(text, new["instance_id"])

    def _damage(self, backup_id: str) -> str | None:
        """What is wrong with the objects of a backup and of those that it builds on."""
        row = self.hub.row("backups", backup_id)
        if row is None:
            return "it has no row"
        for each_id in (*parents_of(row), backup_id):
            each = self.hub.row("backups", each_id)
            if each is None or "checksum" not in each:
                return f"{each_id} is not there"
            if (found := damage_of(self.hub, each)) is not None:
                return f"of {each_id} {found}"
        return None

    def check_healed(self) -> None:
        for guest in self.hub.run.fleet:
            volume = guest.volume
            at_rest = guest.power and guest.retired is None and not guest.at_work
            if volume is not None and volume.trial and at_rest:
                self.broken(f"{guest.server_id} has a trial of {sorted(volume.trial)} left", "")
