"""F19: a deployment in the middle of a run, and what another release leaves behind."""

from __future__ import annotations

import json
from collections import Counter
from typing import Final

import pytest

from chalicelib.bus.contract import FIRST_RELEASE, RELEASE
from simulator import releases, template
from simulator.aws.lambda_ import Container
from simulator.aws.stepfunctions import definition
from simulator.effects import Effect
from simulator.faults.f19_deploy import Deploy
from simulator.plan import Plan, Workload
from simulator.region import Reply
from simulator.run import Run

ARNS = {
    name: f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    for name in ("TaskManagerArn", "TaskManagerCloudArn")
}
DEFINITIONS = template.flows()
CHANGING = Workload(operations_per_guest_hour=60.0, mix={"create": 5.0, "delete": 4.0})


SEEDS: Final = range(3, 8)
"""Whether a deployment meets what it is to meet its seed decides; the first that does is enough."""


class Witness:
    """A hook that sees which releases are at work at the same time."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.beside = 0
        """Effects of a function whose code was updated while it ran."""
        self.mixed = 0
        """Effects while executions of one flow had different definitions."""

    def before(self, effect: Effect) -> None:
        owner = effect.owner
        if not isinstance(owner, Container):
            return
        self.beside += owner.release != owner.function.release
        self.mixed += len({first for _, first in self._open()}) > 1

    def after(self, effect: Effect) -> None:
        return None

    def _open(self) -> list[tuple[str, str]]:
        """Open executions of creates, and the first state of their definition."""
        return [
            (each.name, each.root.machine.start_at)
            for each in self._run.world.region.states.executions.values()
            if each.root is not None and each.machine_arn.endswith("create-instance")
        ]


@pytest.mark.deep
def test_old_and_new_are_at_work_at_once_and_nothing_breaks() -> None:
    slow = {"F19": 12.0, "F3": 1.0}  # so that functions are at work when they are updated
    beside = mixed = 0
    for seed in SEEDS:
        run = Run(Plan(guests=6, hours=0.4, seed=seed, workload=CHANGING, faults=slow))
        witness = Witness(run)
        run.world.region.effects.hooks.append(witness)
        result = run.execute()
        assert result.broken() == []
        assert result.faults["F19"].injected > 1
        functions = run.world.region.lambda_.functions
        cold = {name: each.cold_starts for name, each in functions.items()}
        assert all(count > 1 for name, count in cold.items() if "dead-letters" not in name), cold
        beside, mixed = beside + witness.beside, mixed + witness.mixed
        if beside and mixed:
            return
    raise AssertionError(f"beside {beside}, mixed {mixed}")


@pytest.mark.deep
def test_guests_of_two_releases_are_side_by_side_and_each_is_asked_for_what_it_knows() -> None:
    mix = {"create": 4.0, "resize_flavor": 10.0, "resize_volume": 10.0, "rebuild": 1.0}
    workload = Workload(operations_per_guest_hour=60.0, mix=mix)
    releases_seen: set[int] = set()
    answers: Counter[int] = Counter()
    for seed in SEEDS:
        run = Run(Plan(guests=8, hours=0.4, seed=seed, workload=workload, faults={"F19": 2.0}))

        def look(
            method: str, path: str, headers: object, body: bytes, reply: Reply, run: Run = run
        ) -> None:
            releases_seen.update(guest.disk.release for guest in run.world.fleet)
            if b'"resize"' in body:
                answers[reply.status] += 1

        run.world.region.replied.append(look)
        result = run.execute()
        assert result.broken() == []
        assert result.invariants["I30"].verdict == "holds"
        if releases_seen >= {FIRST_RELEASE, RELEASE} and answers[501] and answers[202]:
            return
    raise AssertionError(f"{releases_seen}, {answers}")


@pytest.mark.deep
def test_items_of_other_releases_are_changed_and_lose_nothing() -> None:
    plan = Plan(guests=6, hours=0.4, seed=4, workload=CHANGING, faults={"F19": 12.0})
    run = Run(plan)
    changed: dict[str, int] = {}

    def watch(table: str, old: object, new: object) -> None:
        if isinstance(old, dict) and isinstance(new, dict) and releases.LATER in old:
            changed[table] = changed.get(table, 0) + 1
            assert new[releases.LATER] == old[releases.LATER]

    run.world.region.dynamodb.watchers.append(watch)
    assert run.execute().broken() == []
    assert {"coffer-instances", "coffer-operations", "coffer-service-statuses"} <= set(changed)


def test_a_run_ends_with_an_error_when_an_attribute_was_lost() -> None:
    run = Run(Plan(guests=2, hours=0.1, faults={"F19": 12.0}))
    (deploy,) = run.faults
    assert isinstance(deploy, Deploy)
    item = {"id": "i", releases.LATER: {"mark": "x"}}
    run.world.kernel.call_later(100.0, deploy._watch, "coffer-instances", item, {"id": "i"})
    with pytest.raises(AssertionError, match="instances i"):
        run.execute()


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_revision_is_another_definition_of_the_same_flow(name: str) -> None:
    shipped = DEFINITIONS[name]
    assert releases.revised(shipped, 0) == shipped
    texts = {releases.revised(shipped, revision) for revision in range(4)}
    assert len(texts) == 4
    for revision in range(1, 4):
        text = releases.revised(shipped, revision)
        before, after = json.loads(shipped), json.loads(text)
        machine = definition.from_text(text, ARNS)
        assert machine.states.keys() - before["States"].keys() == {f"Revision {revision}"}
        for state, written in before["States"].items():
            for key in ("Type", "Next", "Catch", "Choices", "Default", "Resource"):
                assert after["States"][state].get(key) == written.get(key)


def test_an_older_item_lacks_only_what_says_nothing() -> None:
    item = {"id": "o", "attempt": 0, "compensating": False, "status": "RUNNING", "started": {}}
    assert releases.as_older("operations", item) == {"id": "o", "status": "RUNNING", "started": {}}
    counted = {**item, "attempt": 2, "compensating": True}
    assert releases.as_older("operations", counted) == counted
    row = {"id": "i", "access": '{"is_public": false, "allowed_cidrs": ["10.0.0.0/8"]}'}
    assert releases.as_older("instances", row) == row
