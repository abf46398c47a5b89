"""L3: no lost instance: every row is reachable or in ERROR with a reason."""

from __future__ import annotations

import json

from chalicelib.lifecycle import Status, operating_status
from chalicelib.settings import settings
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant


class NoLostInstance(Invariant):
    """Looks at each row that is not deleted, after heal."""

    id = "L3"
    title = "Every instance is reachable, stopped as asked, or in ERROR with a reason"

    def check_healed(self) -> None:
        for row in self.hub.rows("instances"):
            if row["status"] == Status.DELETED:
                continue
            self.exercised += 1
            if row["status"] == Status.ERROR:
                if not row.get("fault_message"):
                    self.broken("it is in ERROR and says nothing", row["id"])
            elif row["status"] == Status.ACTIVE:
                self._active(row)
            elif row["status"] == Status.STOPPED:
                self._stopped(row)
            elif "operation_id" not in row:
                self.broken(f"it is in {row['status']} and nothing is under way", row["id"])

    def _stopped(self, row: Item) -> None:
        """Nothing is billed but the disk."""
        server_id = json.loads(row["resources"])["server_id"]
        server = self.hub.run.cloud.compute.servers.get(server_id)
        if server is not None and server.status != "SHUTOFF":
            self.broken(f"it is STOPPED and its server is {server.status}", row["id"])

    def _active(self, row: Item) -> None:
        reported = self.hub.row("service-statuses", row["id"])
        if reported is None:
            self.broken("it is ACTIVE and no guest has ever reported", row["id"])
            return
        age = self.hub.run.kernel.now - float(reported["updated"])
        expiry = float(settings().heartbeat_expiry_seconds)
        shown = operating_status(row["status"], reported["status"], age, expiry)
        if shown == "ERROR":
            server_id = json.loads(row.get("resources") or "{}").get("server_id")
            if server_id in self.hub.run.cloud.compute.servers:
                text = f"its server is there and its guest has said nothing for {age:.0f} s"
                self.broken(text, row["id"])
