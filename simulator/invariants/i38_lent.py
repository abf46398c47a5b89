"""I38: the object store is lent to who makes, restores or verifies a backup, and to nobody else."""

from __future__ import annotations

import json

from chalicelib.domain.operations import TERMINAL, OperationAction
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Exchange, Invariant, json_of

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
        self.hub.on_write("operations", self._operation)
        self.hub.on_reply(self._replied)

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
        if not exchange.path.endswith("/guest/v1/storage") or exchange.reply.status != 200:
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
