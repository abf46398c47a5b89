"""`make test-crash`: a death after every effect of every step and handler of create and delete.

A first create and delete are watched, which tells how many effects each scope has. Then the same is
done again, in waves: in the k-th wave every scope dies once after its k-th effect.
"""

from __future__ import annotations

import pytest

from tests.acceptance.stack import Stack
from tests.bench.calls import Counting

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]

SCOPES = (
    "dispatcher",
    "conductor",
    "heartbeats",
    "enrol",
    "create_instance.",
    "remove_",
    "delete_instance.",
)
INSTANCES = 3
WITHIN = 600
"""A create whose token was lost: its deadline, the sweeps after it, and its removals."""


def effects_of_each_scope(stack: Stack) -> dict[str, int]:
    """The largest number of effects that one run of each scope can have."""
    counting = Counting(stack.crash_plan)
    api = stack.demo
    made = api.created("watched")
    api.healthy(made)
    assert api.delete(made).status_code == 202
    api.wait(made, "GONE")
    totals: dict[str, int] = {}
    for (scope, _), count in counting.counted().items():
        if scope.startswith(SCOPES):
            totals[scope] = totals.get(scope, 0) + count
    counting.log.unlink()
    return totals


def test_a_death_after_every_effect(stack: Stack) -> None:
    api = stack.demo
    totals = effects_of_each_scope(stack)
    assert len(totals) >= 14
    deaths = 0
    for effect in range(1, max(totals.values()) + 1):
        wave = [scope for scope, count in totals.items() if effect <= count]
        for scope in wave:
            (stack.crash_plan / f"{scope}@{effect}").touch()
        ids = [api.created(f"wave-{effect}-{number}") for number in range(INSTANCES)]
        for instance_id in ids:
            ended = api.wait(instance_id, "ACTIVE", "ERROR", within=WITHIN)
            assert ended["status"] == "ACTIVE" or ended["fault"]["message"]
        for instance_id in ids:
            assert api.delete(instance_id).status_code == 202
        for instance_id in ids:
            api.wait(instance_id, "GONE", within=WITHIN)
            stack.assert_owns_nothing(api, instance_id)
        # Polling steps have more effects in all than in one run: what did not come is taken back.
        left = list(stack.crash_plan.glob(f"*@{effect}"))
        deaths += len(wave) - len(left)
        for planned in left:
            planned.unlink()
        print(f"wave {effect}: {len(wave) - len(left)} of {len(wave)} deaths, all converged")
        if len(left) == len(wave):
            break
    assert deaths >= 40
