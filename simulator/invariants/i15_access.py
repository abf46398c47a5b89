"""I15: an instance tells who may reach it as it is in the cloud."""

from __future__ import annotations

import json
from typing import Any, Final

from chalicelib import engines
from chalicelib.domain.instances import sources
from chalicelib.lifecycle import Status
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.things import owned_things

IN_PART: Final = "may be changed in part"


class Access(Invariant):
    """Compares the access on the rows with rules and floating addresses, when nothing changes them.

    An instance is left out that tells that its change may have been taken back in part. So are rows
    of an earlier moment, until the operator has put them right.
    """

    id = "I15"
    title = "The access that an instance tells is the one that holds"

    def check(self) -> None:
        if self.hub.restoring:
            return
        owned: dict[str, dict[str, list[Any]]] = {}
        for kind, instance_id, thing in owned_things(self.hub.run.cloud):
            owned.setdefault(instance_id, {}).setdefault(kind, []).append(thing)
        for row in self.hub.rows("instances"):
            settled = row["status"] == Status.ACTIVE and "operation_id" not in row
            if settled and IN_PART not in str(row.get("fault_message")):
                self._compare(row, owned.get(str(row["id"]), {}))

    def _compare(self, row: Item, found: dict[str, list[Any]]) -> None:
        self.exercised += 1
        access = json.loads(str(row.get("access") or "{}"))
        wanted = {
            (source, port)
            for source in sources(access.get("allowed_cidrs") or [])
            for port in engines.tcp_ports(row["manager"])
        }
        allowed = {
            (rule.traffic.remote_ip_prefix, rule.traffic.port_range_min)
            for group in found.get("security group", [])
            for rule in group.rules.values()
            if rule.traffic.direction == "ingress"
        }
        if allowed != wanted:
            text = f"{sorted(allowed)} may reach it, and it tells {sorted(wanted)}"
            self.broken(text, str(row["id"]))
        shown = sorted(
            each["address"]
            for each in json.loads(str(row.get("addresses") or "[]"))
            if each["type"] == "public"
        )
        public = sorted(each.address for each in found.get("floating address", []))
        if shown != public or bool(public) != bool(access.get("is_public")):
            text = f"its public addresses are {public}, and it tells {shown}: {access}"
            self.broken(text, str(row["id"]))
