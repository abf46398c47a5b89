"""A deployment in virtual time with one instance that serves: what is asked of it, its parts."""

from __future__ import annotations

import json
from typing import Any

from simulator.cloud.model.faults import Fault
from simulator.cloud.model.server import Server
from simulator.cloud.model.volume import Volume
from simulator.fleet.guest import Guest
from simulator.invariants.things import things_of
from simulator.template import PREFIX
from tests.simulator.deployment import Client, Deployment

GLANCE_SECONDS = 0.1


class Served(Deployment):
    """A deployment, its tenant's instance, and what an operation makes of both."""

    def __init__(self) -> None:
        super().__init__()
        self.do(lambda: self.create(self.tenant))
        self.settle()
        (row,) = self.instances()
        self.id = str(row["id"])

    @property
    def row(self) -> dict[str, Any]:
        """The instance's row as it is now."""
        found = self.region.dynamodb.row(f"{PREFIX}-instances", self.id)
        assert found is not None
        return dict(found)

    @property
    def status(self) -> str:
        return str(self.row["status"])

    @property
    def fault(self) -> str:
        """What its user is told; empty when all is well."""
        return str(self.row.get("fault_message", ""))

    @property
    def server(self) -> Server:
        """Its one server."""
        (found,) = things_of(self.cloud, self.id)["server"]
        assert isinstance(found, Server)
        return found

    @property
    def volume(self) -> Volume:
        """Its one volume."""
        (found,) = things_of(self.cloud, self.id)["volume"]
        assert isinstance(found, Volume)
        return found

    @property
    def guest(self) -> Guest:
        """What runs on its server."""
        return self.fleet.guests[self.server.id]

    def operation(self) -> dict[str, Any]:
        """The newest operation."""
        rows = self.region.dynamodb.rows(f"{PREFIX}-operations")
        mine = [row for row in rows if row["instance_id"] == self.id]
        return dict(max(mine, key=lambda row: float(row["created"])))

    def spoil(self, service: str, call: str, mode: str, *, times: int = 1) -> None:
        """Have the next calls of the cloud go wrong."""
        self.cloud.faults.arm(Fault("f", service, call, mode, count=times))

    def ask(self, action: str, arguments: Any = None, *, admin: bool = False) -> int:
        """Ask for an action; the status of the answer."""
        client, path = (self.admin, "/mgmt") if admin else (self.tenant, "")
        return self._post(client, f"{path}/instances/{self.id}/action", {action: arguments or {}})

    def _post(self, client: Client, path: str, body: Any) -> int:
        """At once: what follows from it has hardly begun."""
        replies: list[int] = []
        self.kernel.spawn(
            lambda: replies.append(client("POST", path, body).status), "client", None, None
        )
        while not replies:
            self.run(GLANCE_SECONDS)
        return replies[0]

    def until(self, step: str, within: float = 1800.0) -> None:
        """Let time pass until the newest operation is at a step."""
        end = self.kernel.now + within
        while self.operation().get("step") != step:
            assert self.kernel.now < end, self.operation()
            self.run(GLANCE_SECONDS)

    def took(self) -> float:
        """Seconds from the request to the end of the newest operation."""
        row = self.operation()
        return float(row["updated"]) - float(row["created"])

    def holds(self) -> None:
        """Everything that is promised of a deployment at rest; its database has what it had."""
        self.settle()
        self.invariants.check_healed()
        assert self.explain() == ""
        (volume,) = self.fleet.volumes.values()
        assert set(volume.contents.databases) == {"shop"}

    def asked(self, method: str) -> list[dict[str, Any]]:
        """The commands of a method that its guests were sent, oldest first."""
        rows = self.region.dynamodb.rows(f"{PREFIX}-commands")
        found = [row for row in rows if row["method"] == method]
        return sorted(map(dict, found), key=lambda row: float(row["created"]))

    def resources(self) -> dict[str, Any]:
        """What its row says it owns."""
        return dict(json.loads(self.row["resources"]))
