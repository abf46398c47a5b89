"""`make test-crash`: a death after every effect of every step and handler of create and delete.

A first create and delete are watched, which tells how many effects each scope has. Then the same is
done again, in waves: in the k-th wave every scope dies once after its k-th effect.

A wave takes minutes. `-s` tells each as it ends, with who died in it, and
`COFFER_TEST_FIRST_WAVE=k` goes on from the k-th.
"""

from __future__ import annotations

import os

import pytest

from tests.acceptance.stack import Stack
from tests.bench.calls import Counting

pytestmark = [pytest.mark.crash, pytest.mark.timeout(7200)]

SCOPES = (
    "dispatcher",
    "conductor",
    "heartbeats",
    "enrol",
    "create_instance.",
    "remove_",
    "delete_instance.",
)
FIRST_WAVE = int(os.environ.get("COFFER_TEST_FIRST_WAVE", "1"))
INSTANCES = 3
LEAST_DEATHS = 40
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
    totals = effects_of_each_scope(stack)
    assert len(totals) >= 14
    deaths = 0
    for effect in range(FIRST_WAVE, max(totals.values()) + 1):
        died = wave(stack, effect, [scope for scope in totals if effect <= totals[scope]])
        deaths += len(died)
        print(f"wave {effect}: {len(died)} deaths, all converged: {', '.join(died)}", flush=True)
        if not died:
            break
    assert deaths >= (LEAST_DEATHS if FIRST_WAVE == 1 else 1)


def wave(stack: Stack, effect: int, scopes: list[str]) -> list[str]:
    """Some creates and deletes in which each scope dies after that effect; those that did."""
    api = stack.demo
    planned = {scope: stack.crash_plan / f"{scope}@{effect}" for scope in scopes}
    for file in planned.values():
        file.touch()
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
    died = [scope for scope, file in planned.items() if not file.exists()]
    for file in planned.values():
        file.unlink(missing_ok=True)
    return died
