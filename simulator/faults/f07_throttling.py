"""F7: throttling and 5xx of one service at a time, in bursts."""

from __future__ import annotations

from simulator.aws.errors import throttled, unavailable
from simulator.aws.lambda_ import Event, Fate, Function
from simulator.effects import Effect
from simulator.faults.base import Fault
from simulator.faults.bursts import Bursts

SERVICES = ("dynamodb", "sqs", "stepfunctions", "lambda", "sts")
BURST_SECONDS = (5.0, 120.0)
REFUSED = 0.6
"""Share of the calls that are refused in a burst."""


class Throttling(Fault):
    id = "F7"
    title = "throttling and 5xx"
    range = (0.005, 0.4)
    unit = "share of the time"

    def install(self) -> None:
        self.on = True
        self.service = ""
        self.world.region.effects.hooks.append(self)
        self.world.decisions.all.append(self._decide)
        self.world.data_chances.conflicts.append(self._conflict)
        self.world.data_chances.leftovers.append(self._conflict)
        Bursts(self, BURST_SECONDS, self._begin, self._end).pause()

    def heal(self) -> None:
        self.on = False
        self.service = ""
        self.world.region.effects.hooks.remove(self)
        self.world.decisions.all.remove(self._decide)

    def _begin(self) -> str:
        self.service = self.stream.choice(SERVICES)
        return f"{self.service} refuses"

    def _end(self) -> None:
        self.service = ""

    def before(self, effect: Effect) -> None:
        if effect.service != self.service or not self.hits(REFUSED):
            return
        self.world.inject(self.id)
        error = throttled if self.stream.random() < 0.7 else unavailable
        raise error(effect.service, effect.call)

    def after(self, effect: Effect) -> None:
        return None

    def _decide(self, function: Function, event: Event, source: str) -> Fate | None:
        if self.service != "lambda" or not self.hits(REFUSED):
            return None
        self.world.inject(self.id)
        return Fate.THROTTLE if self.stream.random() < 0.7 else Fate.FAIL

    def _conflict(self) -> bool:
        if self.service != "dynamodb" or not self.hits(REFUSED / 4):
            return False
        self.world.inject(self.id)
        return True
