"""I38: the object store is lent to who makes, restores or verifies a backup or sends its log, and
to nobody else."""

from __future__ import annotations

import json
from typing import Final

from chalicelib.domain.archives import State
from chalicelib.domain.operations import TERMINAL, OperationAction
from chalicelib.errors import Gone
from chalicelib.lifecycle import Status
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange
from simulator.invariants.rows import changed, json_of

_OF_A_LOAN: Final = ("archive_id", "generation", "status", "state")
Lent = tuple[str, str]
"""An instance and a backup."""


class Lending(Invariant):
    """Follows the operations that are about a backup, and looks at each loan.

    One that goes back or has ended lends nothing from then on; what was under way may be answered.
    """

    id = "I38"
    title = "The object store is lent to who makes, restores or verifies a backup, to nobody else"

    def watch(self) -> None:
        self._over: dict[Lent, float] = {}
        """When nothing of an instance needed a backup any more; infinite while something does."""
        self._moved: dict[str, float] = {}
        """When an archive, or whose log goes there, has changed last."""
        self.hub.on_write("operations", self._operation)
        self.hub.on_write("archives", self._changed)
        self.hub.on_write("instances", self._changed)
        self.hub.on_reply(self._replied)

    def _changed(self, old: Item | None, new: Item | None) -> None:
        if new is not None and any(changed(old, new, name) for name in _OF_A_LOAN):
            self._moved[new["id"]] = self.hub.run.kernel.now

    def _operation(self, _: Item | None, new: Item | None) -> None:
        if new is None or new["action"] not in (
            OperationAction.CREATE_BACKUP,
            OperationAction.RESTORE,
            OperationAction.VERIFY_BACKUP,
        ):
            return
        about = new["instance_id"], json_of(new, "arguments")["backup"]
        back = new.get("cancelled") or new.get("compensating") or new["status"] in TERMINAL
        if not back:
            self._over[about] = float("inf")
        elif self._over.get(about) in (None, float("inf")):
            self._over[about] = self.hub.run.kernel.now

    def _replied(self, exchange: Exchange) -> None:
        if not exchange.path.endswith("/guest/v1/storage"):
            return
        if exchange.reply.status == Gone.status:
            self._refused(exchange)
        if exchange.reply.status != 200:
            return
        self.exercised += 1
        asked = json.loads(exchange.body)
        about = asked["instance_id"], asked["backup_id"]
        archive = self.hub.row("archives", about[1])
        if archive is not None and archive["instance_id"] == about[0]:
            return  # its own log, which has no end that an operation has
        if self._over.get(about, 0.0) < exchange.begun:
            text = f"the store was lent for the backup {about[1]}, which nothing needs there"
            self.broken(text, about[0])

    def _refused(self, exchange: Exchange) -> None:
        """Not whose log goes there, while the archive is open: a guest would send it nowhere."""
        asked = json.loads(exchange.body)
        instance, archive_id = self.hub.row("instances", asked["instance_id"]), asked["backup_id"]
        archive = self.hub.row("archives", archive_id)
        if instance is None or archive is None or self.hub.restoring:
            return
        since = exchange.begun - self.hub.lag
        settled = all(self._moved.get(each["id"], 0.0) < since for each in (instance, archive))
        its_own = (instance.get("archive_id"), archive["instance_id"]) == (
            archive_id,
            instance["id"],
        )
        going = instance["status"] in (Status.SHUTDOWN, Status.DELETED)
        present = not going and int(instance["generation"]) == asked["generation"]
        if settled and its_own and present and archive["state"] != State.ENDED:
            self.exercised += 1
            self.broken(f"nothing was lent for the archive {archive_id} of its log", instance["id"])
