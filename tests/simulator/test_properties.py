"""Any order of requests, races, faults and time keeps the promises; failures shrink to a script."""

from __future__ import annotations

import re
import sys
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.saboteurs.registry import Patch
from tests.saboteurs.saboteurs import SABOTEURS
from tests.simulator.machine import FAULTS, WORK, Machine

tenants = st.integers(0, 1)
instances = st.integers(0, 3)
pauses = st.sampled_from([0.0, 0.02, 0.2, 2.0, 20.0])
requests = st.tuples(st.sampled_from(WORK), tenants, instances)
SHRINKING_SECONDS = 60
"""At most so long: what comes later is hardly smaller."""
LIKE = settings(
    deadline=None,
    # Without the one that explains: it runs many more examples, to name lines of this file.
    phases=[Phase.generate, Phase.shrink],
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


class Promises(RuleBasedStateMachine):
    """Rules draw the steps; the machine does them and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.machine: Machine | None = None

    @property
    def made(self) -> Machine:
        assert self.machine is not None
        return self.machine

    @initialize(seed=st.integers(0, 2**32), guests=st.integers(1, 3))
    def begin(self, seed: int, guests: int) -> None:
        self.machine = Machine(seed, guests)

    @rule(tenant=tenants, seconds=pauses)
    def create(self, tenant: int, seconds: float) -> None:
        self.made.request([("create", tenant, 0)], seconds)

    @rule(one=requests, seconds=pauses)
    def ask(self, one: tuple[str, int, int], seconds: float) -> None:
        self.made.request([one], seconds)

    @rule(one=requests, times=st.integers(2, 4), seconds=pauses)
    def repeat(self, one: tuple[str, int, int], times: int, seconds: float) -> None:
        self.made.request([one] * times, seconds)

    @rule(
        tenant=tenants,
        instance=instances,
        actions=st.lists(st.sampled_from(WORK), min_size=2, max_size=4),
        seconds=pauses,
    )
    def race(self, tenant: int, instance: int, actions: list[str], seconds: float) -> None:
        self.made.request([(action, tenant, instance) for action in actions], seconds)

    @rule(instance=instances, seconds=pauses)
    def delete_of_a_stranger(self, instance: int, seconds: float) -> None:
        owner = self.made.workload.tenants["tenant-0"]
        stranger = self.made.workload.tenants["tenant-1"]
        stranger.instances.update(owner.instances)
        self.made.request([("delete", 1, instance), ("show", 1, instance)], seconds)

    @rule(tenant=tenants, instance=instances)
    def forced_delete(self, tenant: int, instance: int) -> None:
        self.made.request([("force_delete", tenant, instance)], 1.0)

    @rule(seconds=st.sampled_from([1.0, 10.0, 60.0, 300.0, 2400.0]))
    def wait(self, seconds: float) -> None:
        self.made.wait(seconds)

    @rule(name=st.sampled_from(FAULTS))
    def switch_on(self, name: str) -> None:
        self.made.switch_on(name)

    @precondition(lambda self: self.machine is not None and self.machine.run.faults)
    @rule(data=st.data())
    def switch_off(self, data: st.DataObject) -> None:
        on = [fault.id for fault in self.made.run.faults]
        self.made.switch_off(data.draw(st.sampled_from(on)))

    @rule(what=st.sampled_from(["agent", "database", "reboot", "journal"]), guest=st.integers(0, 5))
    def strike(self, what: str, guest: int) -> None:
        self.made.strike(what, guest)

    @rule()
    def heal(self) -> None:
        self.made.heal()

    @invariant()
    def promises_hold(self) -> None:
        if self.machine is not None:
            self.machine.check()

    def teardown(self) -> None:
        """Also what must hold at the end; not after a failure, which is told by itself."""
        if self.machine is None:
            return
        try:
            if sys.exc_info()[0] is None:
                self.machine.empty()
        finally:
            self.machine.close()


def check(examples: int, steps: int) -> None:
    """Some examples of so many steps; a failure is shrunk until it is small, or time is over."""
    profile: dict[str, Any] = {"max_examples": examples, "stateful_step_count": steps}
    with mock.patch.object(engine, "MAX_SHRINKING_SECONDS", SHRINKING_SECONDS):
        run_state_machine_as_test(Promises, settings=settings(LIKE, **profile))


@pytest.mark.deep
@pytest.mark.long
@pytest.mark.timeout(900)  # an example takes seconds, and a failure is shrunk
def test_promises_hold_in_any_order_of_events() -> None:
    check(examples=25, steps=20)


@pytest.mark.deep
def test_a_broken_promise_is_told_with_its_seed_its_steps_and_a_timeline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saboteur = next(each for each in SABOTEURS if each.name == "a compensation forgotten")
    saboteur.apply(Patch(monkeypatch))
    with pytest.raises(AssertionError) as failed:
        check(examples=3, steps=3)
    told = str(failed.value)
    assert "I4 is broken" in told
    instance = re.search(r"  instance ([0-9a-f-]{36}):\n", told)
    assert instance is not None
    for part in ("DELETE / → 202", "lease_id - → ", "I4    "):
        assert part in told[instance.end() :]
    steps = told[told.index("The steps were:") :].splitlines()
    # The shortest way there: the guests that are there from the begin are deleted at the end.
    assert [step.strip() for step in steps[1:4]] == [
        "Machine(seed=0, guests=1)",
        "heal()",
        "empty()",
    ]


@pytest.mark.crash
@pytest.mark.timeout(7200)
def test_promises_hold_in_many_orders_of_events() -> None:
    check(examples=400, steps=40)
