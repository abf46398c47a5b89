"""F8: a call takes effect and its reply is lost; the retry meets its own effect."""

from __future__ import annotations

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from simulator.cloud.model.errors import GatewayTimeout
from simulator.effects import Effect
from simulator.faults.base import Fault

READS = frozenset(
    {
        *("BatchGetItem", "DescribeExecution", "GetItem", "GetParameter", "GetQueueAttributes"),
        *("GetObject", "HeadObject", "ListObjectsV2"),
        *("Query", "ReceiveMessage", "Scan", "validate"),
    }
)

READ_SECONDS = 10.0
"""So long a client waits for a reply."""
TIMEOUTS = 0.2
"""Share of the lost replies that are waited for; else the connection is seen to break."""


class UnknownCommit(Fault):
    id = "F8"
    title = "unknown commit"
    range = (0.0, 0.1)

    def install(self) -> None:
        self.on = True
        self.world.region.effects.hooks.append(self)

    def heal(self) -> None:
        self.on = False
        self.world.region.effects.hooks.remove(self)

    def before(self, effect: Effect) -> None:
        return None

    def after(self, effect: Effect) -> None:
        if effect.call in READS or effect.service == "keystone" or not self.hits():
            return
        self.inject(f"{effect.service} {effect.call} of {effect.scope}: the reply is lost")
        if effect.service == "openstack":
            raise GatewayTimeout("The server did not respond in time.")
        if self.stream.random() < TIMEOUTS:
            self.world.kernel.sleep(READ_SECONDS)
            raise ReadTimeoutError(endpoint_url=effect.service)
        raise ConnectionClosedError(endpoint_url=effect.service)
