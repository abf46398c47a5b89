"""F26: the master keys are rotated while everything runs, as `coffer rotate-key` does it."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import EndpointConnectionError

from chalicelib.bus.keyring import MOST_VERSIONS
from infra.keyrings import KeyRings
from simulator.aws.functions import Container
from simulator.effects import Effect
from simulator.faults.base import Fault
from simulator.services import SECRETS_PATH

FIRST_WITHIN: Final = 0.25
"""The first rotation begins in this share of the run: it takes six minutes until it is used."""
CUT_OFF: Final = 0.3
"""Share of the warm containers that cannot reach the Parameter Store during a rotation: what others
seal with the new version comes to them before the version does."""
CUT_OFF_SECONDS: Final = 120.0
"""So long after the new version is used they still cannot."""


class Rotation(Fault):
    """Distributes, waits, uses; old versions stay, as they do for 15 days.

    Warm containers hold what they have read, guests what they were given: nothing may be lost.
    """

    id = "F26"
    title = "key rotation"
    range = (1.0, 4.0)
    unit = "rotations an hour, at least one"
    chance = 0.2
    fair = True
    missing = "retired versions: they are kept for longer than a run lasts"

    def install(self) -> None:
        self.on = True
        self.rotations = 0
        self.cut_off: dict[Container, bool] | None = None
        self.world.region.effects.hooks.append(self)
        ssm, chance = self.world.region.ssm, self.stream.randbytes
        self.rings = KeyRings(ssm, SECRETS_PATH, self._said, new_key=chance)
        first = self.stream.random() * FIRST_WITHIN * self.world.plan.hours * 3600.0
        self.world.kernel.call_later(first, self._distribute)

    def heal(self) -> None:
        self.on = False
        self.cut_off = None
        self.world.region.effects.hooks.remove(self)

    def before(self, effect: Effect) -> None:
        """Cut some containers off; one that has read nothing yet could do no work at all."""
        caller = effect.owner
        if effect.service != "ssm" or self.cut_off is None or not isinstance(caller, Container):
            return
        if not any(name.startswith("parameter ") for name in caller.memory):
            return
        if self.cut_off.setdefault(caller, self.stream.random() < CUT_OFF):
            self.inject(f"{effect.scope} does not reach the Parameter Store")
            raise EndpointConnectionError(endpoint_url="ssm")

    def after(self, effect: Effect) -> None:
        """What was read is read."""

    def _said(self, text: str) -> None:
        self.world.kernel.trace("rotation", text)

    def _distribute(self) -> None:
        self.rotations += 1
        if not self.on or self.rotations >= MOST_VERSIONS:
            return
        usable_at = self.rings.distribute(self.world.kernel.now, again=True)
        assert usable_at is not None
        self.cut_off = {}
        self.inject(f"rotation {self.rotations} is distributed")
        self.world.kernel.call_at(usable_at, self._use)

    def _use(self) -> None:
        """Also when the faults have ended: what is begun is not left half done for long."""
        self.rings.use(self.world.kernel.now)
        self.inject(f"rotation {self.rotations} is used")
        self.world.kernel.call_later(CUT_OFF_SECONDS, self._reconnect)
        self.world.kernel.call_later(self.later(3600.0 / self.strength), self._distribute)

    def _reconnect(self) -> None:
        self.cut_off = None
