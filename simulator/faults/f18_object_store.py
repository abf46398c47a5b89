"""F18: the object store refuses for a minute, or takes a write and loses its reply."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import ConnectionClosedError

from simulator.aws.errors import throttled
from simulator.effects import Effect
from simulator.faults.base import Fault
from simulator.faults.bursts import Bursts

BURST_SECONDS: Final = (5.0, 90.0)
REFUSED: Final = 0.8
"""Share of the calls that are answered 503 in a burst: most of them outlive botocore's retries."""
LOST: Final = 0.1
"""Share of the replies to writes that are lost, of the strength."""
WRITES: Final = frozenset({"PutObject", "DeleteObject", "DeleteObjects"})


class ObjectStore(Fault):
    id = "F18"
    title = "object store"
    range = (0.0, 0.4)
    unit = "share of the time"
    reached = False
    reason = "no workload makes a backup yet"

    def install(self) -> None:
        self.on = True
        self.away = False
        self.world.region.effects.hooks.append(self)
        Bursts(self, BURST_SECONDS, self._begin, self._end).pause()

    def heal(self) -> None:
        self.on = False
        self.away = False
        self.world.region.effects.hooks.remove(self)

    def _begin(self) -> str:
        self.away = True
        return "the object store refuses"

    def _end(self) -> None:
        self.away = False

    def before(self, effect: Effect) -> None:
        if self.away and effect.service == "s3" and self.hits(REFUSED):
            self.world.inject(self.id)
            raise throttled("s3", effect.call)

    def after(self, effect: Effect) -> None:
        if effect.service != "s3" or effect.call not in WRITES:
            return
        if self.hits(self.strength * LOST):
            self.inject(f"s3 {effect.call} of {effect.scope}: the reply is lost")
            raise ConnectionClosedError(endpoint_url="s3")
