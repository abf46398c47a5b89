"""Deaths for the exhaustive crash test: who dies at which effect, and who runs beside it.

A first run without a death tells all effects of all invocations and agents. A second one is copied
at each of them: in the copy somebody dies there, before the effect or after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from simulator.aws.functions import Container, Fate, Function
from simulator.effects import Effect
from simulator.kernel import Coroutine
from tests.simulator.deployment import Deployment
from tests.support.copies import Copies

Scenario = Callable[[Deployment], None]
QUICK_DEATHS: Final = 12
LEAST_DEATHS: Final = 100
"""A scenario with fewer has not done what it is for."""
MAINTENANCE_SECONDS: Final = 1800.0
"""So long an orphan may live: 15 minutes of age, 10 to the next look, and a look that fails."""


class Place(NamedTuple):
    """The k-th effect of an invocation, or of one of an agent's coroutines; all count from 1."""

    runner: str
    number: int
    scope: str
    call: str


class Death(NamedTuple):
    """A place, whether the effect happens before the death, and whether a second delivery runs."""

    place: Place
    after: bool
    twice: bool = False

    def __str__(self) -> str:
        when = "after" if self.after else "before"
        beside = ", with a second delivery beside it" if self.twice else ""
        runner, number, scope, call = self.place
        return f"{scope} ({runner}) dies {when} its effect {number}, {call}{beside}"


class Recorder:
    """An effect hook that numbers runners and effects, and lets somebody die in copies."""

    def __init__(self, deployment: Deployment, deaths: Sequence[Death] = ()) -> None:
        self.deployment = deployment
        self.copies = Copies()
        self.places: list[Place] = []
        self.answered: dict[Place, None] = {}
        """The places whose calls were answered with no error: there one can die after it."""
        self._alone = {(each.place, each.after): each for each in deaths if not each.twice}
        self._beside: dict[str, list[Death]] = {}
        """By the invocation beside which a second one runs."""
        for each in deaths:
            if each.twice:
                self._beside.setdefault(each.place.runner, []).append(each)
        self._death: Death | None = None
        """In a copy with a second delivery: the death that is still to come."""
        self._agents: dict[Coroutine, str] = {}
        self._effects: dict[str, int] = {}
        self._begun = 0
        deployment.region.effects.hooks.append(self)
        deployment.region.lambda_.decide = self._decide

    def before(self, effect: Effect) -> None:
        runner = self._runner(effect)
        if runner is not None:
            number = self._effects[runner] = self._effects.get(runner, 0) + 1
            place = Place(runner, number, effect.scope, f"{effect.service}.{effect.call}")
            self.places.append(place)
            self._strike(place, after=False)

    def after(self, effect: Effect) -> None:
        runner = self._runner(effect)
        if runner is not None:
            call = f"{effect.service}.{effect.call}"
            place = Place(runner, self._effects[runner], effect.scope, call)
            self.answered[place] = None
            self._strike(place, after=True)

    def _runner(self, effect: Effect) -> str | None:
        """Who makes the effect: an invocation, an agent, or (None) a client."""
        if isinstance(effect.owner, Container):
            invocation = effect.owner.invocation
            return f"invocation {invocation.number}" if invocation is not None else None
        running = self.deployment.kernel.current
        if running is None or not isinstance(effect.owner, str):
            return None
        return self._agents.setdefault(running, f"agent {len(self._agents) + 1}")

    def _strike(self, place: Place, *, after: bool) -> None:
        if self.copies.in_a_copy:
            death = self._death
            if death is not None and (death.place, death.after) == (place, after):
                self._die(death)
            return
        alone = self._alone.get((place, after))
        if alone is not None and self.copies.copy(str(alone)):
            self._die(alone)

    def _die(self, death: Death) -> None:
        self._death = None
        deployment = self.deployment
        deployment.invariants.timeline.note(None, "death", str(death))
        running = deployment.kernel.current
        assert running is not None
        if isinstance(running.owner, str):
            deployment.fleet.crash(running.owner)
        else:
            deployment.region.lambda_.crash(running)

    def deaths(self) -> list[Death]:
        """All that could die in what was recorded."""
        return [
            Death(place, after, twice)
            for twice in (False, True)
            for place in self.places
            for after in (False, True)
            if (not twice or place.runner.startswith("invocation"))
            and (not after or place in self.answered)
        ]

    def _decide(self, function: Function, event: Any, source: str) -> Fate:
        """A second delivery beside the invocation that will die."""
        self._begun += 1
        if not self.copies.in_a_copy:
            for death in self._beside.get(f"invocation {self._begun}", ()):
                if self.copies.copy(str(death)):
                    self._death = death
                    return Fate.TWICE
        return Fate.RUN


def deaths_of(scenario: Scenario) -> list[Death]:
    """All deaths: before and after each effect, alone and beside a second delivery."""
    deployment = Deployment()
    try:
        recorder = Recorder(deployment)
        scenario(deployment)
        settle_and_check(deployment)
    finally:
        deployment.close()
    return recorder.deaths()


def failures_of(
    scenario: Scenario, deaths: Sequence[Death], everything: Sequence[Death]
) -> list[str]:
    """What did not converge after which of these deaths; the run is one that has `everything`."""
    deployment = Deployment()
    try:
        recorder = Recorder(deployment, deaths)

        def run() -> None:
            scenario(deployment)
            settle_and_check(deployment)

        recorder.copies.run(run)
    finally:
        deployment.close()
    assert recorder.deaths() == everything, "the runs must be the same"
    assert recorder.copies.count == len(deaths)
    return recorder.copies.failures


def some_converge(scenario: Scenario, *scopes: str) -> None:
    """A dozen deaths, of all places; of those alone whose scope begins with one of these, if any
    is named."""
    everything = deaths_of(scenario)
    own = _own(everything, scopes)
    assert len(own) > LEAST_DEATHS
    _converge(scenario, own[:: len(own) // QUICK_DEATHS], everything)


def all_converge(scenario: Scenario, *scopes: str) -> None:
    """Each of them."""
    everything = deaths_of(scenario)
    _converge(scenario, _own(everything, scopes), everything)


def _own(deaths: Sequence[Death], scopes: tuple[str, ...]) -> Sequence[Death]:
    return [each for each in deaths if not scopes or each.place.scope.startswith(scopes)]


def _converge(scenario: Scenario, deaths: Sequence[Death], everything: Sequence[Death]) -> None:
    failed = failures_of(scenario, deaths, everything)
    assert not failed, f"{len(failed)} of {len(deaths)} deaths:\n" + "\n\n".join(failed[:5])


def settle_and_check(deployment: Deployment) -> None:
    """Wait for the end of everything, and look at everything."""
    deployment.settle()
    if _left(deployment):
        deployment.run(MAINTENANCE_SECONDS)
    deployment.invariants.check_healed()
    assert not deployment.invariants.violations, deployment.explain()
    assert deployment.fleet.broken == []


def _left(deployment: Deployment) -> bool:
    """Whether anything is there that the maintenance may have to remove."""
    cloud = deployment.cloud
    return bool(cloud.compute.servers or cloud.volume.volumes or cloud.network.ports)
