"""How an action asks the API, for whom and about what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from simulator.clients import Clients, Tenant
from simulator.inputs import DATASTORE

UNFIT: Final = 0.15
"""Share of what a datastore has not that is asked for all the same, to be refused."""
Action = Callable[[Clients, Tenant, str | None], None]


class Ask:
    """The way of one action to the API: whose it is, and which instance it is about."""

    def __init__(self, work: Clients, tenant: Tenant, instance_id: str | None) -> None:
        self.work = work
        self.tenant = tenant
        self.instance_id = instance_id

    def __call__(self, method: str, path: str, body: Any = None) -> None:
        """A request on the instance; one that is gone is forgotten, and not one whose group is."""
        if self.instance_id is None:
            return
        whole = f"/instances/{self.instance_id}{path}"
        if method == "POST":
            self.work.post(self.tenant, whole, body)
            return
        reply = self.work.request(self.tenant, method, whole, body)
        if reply.status == 404 and not path and self.instance_id.encode() in reply.body:
            self.tenant.instances.pop(self.instance_id, None)


def datastore_of(tenant: Tenant, instance_id: str | None) -> str:
    return tenant.instances.get(instance_id or "", DATASTORE)
