"""F20: a service is gone for minutes or hours, and then the whole fleet comes back at once."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import EndpointConnectionError

from simulator.aws.lambda_ import Event, Fate, Function
from simulator.cloud.model.errors import Unavailable
from simulator.effects import Effect
from simulator.faults.base import Fault

SERVICES: Final = {
    "dynamodb": ("dynamodb",),
    "sqs": ("sqs",),
    "stepfunctions": ("stepfunctions",),
    "lambda": ("lambda",),
    "sts": ("sts",),
    "openstack": ("openstack", "keystone"),
    "region": ("dynamodb", "sqs", "stepfunctions", "lambda", "sts", "ssm", "kms"),
    "ssm": ("ssm",),
}
"""What an outage takes with it."""


BEARABLE: Final = frozenset({"lambda", "stepfunctions", "dynamodb", "sqs"})
BEARABLE_MINUTES: Final = 10.0
"""An outage of one of these, so long, is shorter than what is left to any create or delete."""


class Outage(Fault):
    """Those of the plan when it names some; else one of a drawn service, so many hours long."""

    id = "F20"
    title = "outage and recovery storm"
    range = (0.05, 3.0)
    unit = "hours"
    chance = 0.05

    @property
    def passes(self) -> bool:
        return bool(self.world.plan.outages) and all(
            each.service in BEARABLE and each.minutes <= BEARABLE_MINUTES
            for each in self.world.plan.outages
        )

    def install(self) -> None:
        self.on = True
        self.gone: dict[str, int] = {}
        self.world.region.effects.hooks.append(self)
        self.world.decisions.all.append(self._decide)
        kernel, plan = self.world.kernel, self.world.plan
        for outage in plan.outages:
            seconds = outage.minutes * 60.0
            kernel.call_later(outage.at_minutes * 60.0, self._begin, outage.service, seconds)
        if not plan.outages and self.strength:
            service = self.stream.choice(list(SERVICES))
            whole = plan.hours * 3600.0
            seconds = min(self.strength * 3600.0, whole * 0.5)
            kernel.call_later(
                self.stream.random() * (whole - seconds), self._begin, service, seconds
            )

    def heal(self) -> None:
        self.on = False
        self.gone.clear()
        self.world.region.effects.hooks.remove(self)
        self.world.decisions.all.remove(self._decide)
        self._poll(True)

    def _begin(self, service: str, seconds: float) -> None:
        if not self.on:
            return
        self.inject(f"{service} is gone for {seconds / 60:.0f} minutes")
        self.world.lane(self.id, seconds)
        for each in SERVICES[service]:
            self.gone[each] = self.gone.get(each, 0) + 1
        self._poll("sqs" not in self.gone)
        self.world.kernel.call_later(seconds, self._end, service)

    def _end(self, service: str) -> None:
        if not self.on:
            return
        self.world.note(self.id, f"{service} is back")
        for each in SERVICES[service]:
            self.gone[each] -= 1
            if not self.gone[each]:
                del self.gone[each]
        self._poll("sqs" not in self.gone)

    def _poll(self, enabled: bool) -> None:
        """Without SQS, no mapping receives."""
        for mapping in self.world.region.mappings.values():
            if mapping.enabled != enabled:
                mapping.enable(enabled)

    def before(self, effect: Effect) -> None:
        if effect.service in self.gone:
            self.world.refused_in_outage += 1
            if effect.service == "openstack":
                raise Unavailable("The service is unavailable.")
            raise EndpointConnectionError(endpoint_url=effect.service)

    def after(self, effect: Effect) -> None:
        return None

    def _decide(self, function: Function, event: Event, source: str) -> Fate | None:
        return Fate.FAIL if "lambda" in self.gone else None
