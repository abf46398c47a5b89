"""What a swarm carries to an extreme in some of its runs: each is one change of the plan.

A run with everything in the middle of its range seldom meets a bound. So a plan with `extremes`
draws each of these by its chance; the drawn plan names the result alone, and replays without them.
Those later in the list have the last word.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from simulator.faults import REGISTRY
from simulator.inputs import Plan

CHANCE: Final = 0.12
RAM_MIB: Final = 512
MOST_VOLUME_GIB: Final = 3
"""What an instance of the workload holds, at most."""
MOST_RATE: Final = 3600.0
LONGEST_LIST: Final = 40
BURST: Final = 8
FLOWS: Final[tuple[Mapping[str, float], ...]] = (
    {"create": 1, "delete": 1},
    {"create": 2, "force_delete": 1, "reset_status": 1, "delete": 1},
    {"create_user": 2, "delete_user": 2, "change_user": 1, "list_users": 1, "show_user": 1},
    {"create_database": 2, "delete_database": 2, "grant": 2, "revoke": 2, "create_user": 2},
    {"restart": 2, "write": 2, "list_databases": 1},
    {"enable_root": 2, "disable_root": 1, "show_root": 1},
    {"rename": 2, "show": 1, "quota": 1, "create": 1, "delete": 1},
    {"archive_log": 4, "write": 4, "create_database": 2, "restore_to_moment": 3, "purge_log": 0.2},
)
_STEPS: Final = ("F5", "F8", "F15")
"""Classes that make steps of flows fail; the extreme takes one to the end of its range."""

Change = Callable[["Plan", random.Random], "Plan"]


def one_guest(plan: Plan, _: random.Random) -> Plan:
    """One guest has all requests to itself."""
    rate = min(MOST_RATE, plan.workload.operations_per_guest_hour * plan.guests)
    return _with(_work(plan, operations_per_guest_hour=rate), guests=1)


def many_tenants(plan: Plan, _: random.Random) -> Plan:
    """Every guest has a tenant of its own."""
    return _work(plan, guests_per_tenant=1)


def quota_of_one(plan: Plan, chance: random.Random) -> Plan:
    """Of one resource each tenant may have what one instance holds, and asks for it in bursts."""
    limits = {"instances": 1, "volumes": MOST_VOLUME_GIB, "ram": RAM_MIB}
    name = chance.choice(list(limits))
    scarce = _work(plan, guests_per_tenant=1, limits={name: limits[name]})
    return _work(scarce, mix={"create": 3.0, "delete": 1.0}, at_once=BURST)


def nothing_yet(plan: Plan, _: random.Random) -> Plan:
    """No guest is there; all are created at the begin."""
    return _with(plan, prepared=False)


def one_flow(plan: Plan, chance: random.Random) -> Plan:
    """The same few requests, again and again."""
    return _work(plan, mix=dict(chance.choice(FLOWS)))


def at_once(plan: Plan, _: random.Random) -> Plan:
    """Requests come in bursts."""
    return _work(plan, at_once=BURST)


def long_lists(plan: Plan, _: random.Random) -> Plan:
    """Lists in bodies are long."""
    return _work(plan, most_in_a_list=LONGEST_LIST)


def single_messages(plan: Plan, _: random.Random) -> Plan:
    """Functions are handed one message at a time."""
    return _with(plan, batch=1)


def chatty_guests(plan: Plan, _: random.Random) -> Plan:
    """Guests report every ten seconds, so that batches are full."""
    return _with(plan, heartbeat_seconds=10)


def silent_guests(plan: Plan, _: random.Random) -> Plan:
    """Guests report every ten minutes."""
    return _with(plan, heartbeat_seconds=600)


def keys_in_kms(plan: Plan, _: random.Random) -> Plan:
    """The key in KMS seals the keys of backups, as in an account of AWS."""
    return _with(plan, kms=True)


def failing_steps(plan: Plan, chance: random.Random) -> Plan:
    """Steps fail as often as their fault class can make them, and nothing else is broken."""
    if not plan.faults:  # fair weather was asked for
        return plan
    name = chance.choice(_STEPS)
    return _with(plan, faults={name: REGISTRY[name].range[1]})


def hostile_guests(plan: Plan, _: random.Random) -> Plan:
    """One tenant's guests say anything, as often as they can, and nothing else is broken."""
    if not plan.faults:  # fair weather was asked for
        return plan
    return _with(plan, faults={"F25": REGISTRY["F25"].range[1]}, outages=[])


def fair_weather(plan: Plan, _: random.Random) -> Plan:
    """Nothing is broken on purpose: what fails now has no excuse."""
    return _with(plan, faults={}, outages=[])


EXTREMES: Final[dict[str, Change]] = {
    each.__name__: each
    for each in (
        *(one_guest, many_tenants, quota_of_one, nothing_yet, one_flow, at_once, long_lists),
        *(single_messages, chatty_guests, silent_guests, keys_in_kms, failing_steps),
        *(hostile_guests, fair_weather),
    )
}
"""All of them by name, in the order in which they are applied."""


def draw(plan: Plan) -> Plan:
    """The plan with its extremes drawn; its faults are drawn before, for some replace them."""
    if not plan.extremes:
        return plan
    for name, change in EXTREMES.items():
        stream = random.Random(f"{plan.seed}/extreme/{name}")
        if stream.random() < CHANCE:
            plan = change(plan, stream)
    return _with(plan, extremes=False)


def _with(plan: Plan, **changes: Any) -> Plan:
    return msgspec.structs.replace(plan, **changes)


def _work(plan: Plan, **changes: Any) -> Plan:
    return _with(plan, workload=msgspec.structs.replace(plan.workload, **changes))
