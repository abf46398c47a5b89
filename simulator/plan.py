"""A plan: everything that a run is made of. The same plan gives the same run, event by event.

A scenario is a plan in TOML with a name; options of the command line change it; a swarm draws its
faults from the plan's seed. A plan goes to JSON and back, so that a failure can be replayed.
"""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from chalicelib.domain.quotas import RESOURCES, UNLIMITED
from simulator import extremes
from simulator.faults import REGISTRY
from simulator.inputs import DATASTORES, Outage, Plan, Workload
from simulator.mix import USUAL_MIX

__all__ = ["Outage", "Plan", "PlanError", "Workload"]

SCENARIOS: Final = Path(__file__).resolve().parent / "scenarios"
MOST_GUESTS: Final = 1_000_000
MOST_HOURS: Final = 24.0 * 31
SCHEDULE: Final = ("interval_hours", "full_every", "keep_count", "keep_days")
MOST_REQUESTS: Final = 3600.0
"""For each guest and hour: one a second."""


class PlanError(Exception):
    """A plan that cannot be run; the text says what to correct."""


def scenarios() -> dict[str, str]:
    """Names and titles of the scenarios that come with the simulator."""
    found = {}
    for file in sorted(SCENARIOS.glob("*.toml")):
        found[file.stem] = load_scenario(file.stem).title
    return found


def load_scenario(name: str) -> Plan:
    """A scenario by its name, or by the path of a TOML file."""
    path = Path(name) if name.endswith(".toml") else SCENARIOS / f"{name}.toml"
    try:
        document = tomllib.loads(path.read_text())
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in SCENARIOS.glob("*.toml")))
        raise PlanError(f"There is no scenario {name!r}; there are {known}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"The scenario {path} cannot be read: {error}") from None
    return _plan({"scenario": path.stem, **document}, str(path))


def read(path: str | Path) -> Plan:
    """A plan that was written before, or the plan in a result's JSON."""
    try:
        return parsed(Path(path).read_bytes(), str(path))
    except OSError as error:
        raise PlanError(f"The plan {path} cannot be read: {error}") from None


def parsed(text: bytes, where: str) -> Plan:
    """A plan as JSON, or the plan in a result's JSON; `where` it comes from, for an error."""
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise PlanError(f"The plan {where} cannot be read: {error}") from None
    if isinstance(document, dict) and isinstance(document.get("plan"), dict):
        document = document["plan"]
    return _plan(document, where)


def compact(plan: Plan) -> str:
    """A plan as one line of JSON: what differs from the defaults, without the title."""
    usual, chosen = msgspec.to_builtins(Plan()), msgspec.to_builtins(plan)
    chosen["workload"] = _differing(chosen["workload"], usual["workload"])
    del chosen["title"]
    return msgspec.json.encode(_differing(chosen, usual | {"workload": {}})).decode()


def write(plan: Plan, path: str | Path) -> None:
    """Write a plan as JSON, to be replayed."""
    Path(path).write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")


def with_options(
    plan: Plan,
    *,
    guests: int | None = None,
    hours: float | None = None,
    seed: int | None = None,
    faults: str | None = None,
) -> Plan:
    """The plan with what a command line chose."""
    chosen = {"guests": guests, "hours": hours, "seed": seed}
    changed = {name: value for name, value in chosen.items() if value is not None}
    plan = msgspec.structs.replace(plan, **changed)
    if faults is not None:
        plan = with_faults(plan, faults)
    return checked(plan, "the options")


def with_faults(plan: Plan, text: str) -> Plan:
    """The plan with other faults: "none", "swarm", or `F1=0.2,F5` (no number: half the range)."""
    if text == "none":
        return msgspec.structs.replace(plan, faults={}, outages=[], swarm=False)
    if text == "swarm":
        return msgspec.structs.replace(plan, faults={}, swarm=True)
    faults: dict[str, float] = {}
    for part in text.split(","):
        name, given, number = part.strip().partition("=")
        fault = REGISTRY.get(name)
        if fault is None:
            raise PlanError(f'{_unknown_fault(name)} Or "none", or "swarm", alone.')
        if name in faults:
            raise PlanError(f"{name} is given twice.")
        try:
            faults[name] = float(number) if given else sum(fault.range) / 2
        except ValueError:
            raise PlanError(f"{number!r} is not a strength for {name}; try {name}=0.1.") from None
    return checked(msgspec.structs.replace(plan, faults=faults, swarm=False), "the faults")


def drawn(plan: Plan) -> Plan:
    """The plan with its swarm drawn, then its extremes, which may replace the swarm."""
    return extremes.draw(_with_swarm(plan) if plan.swarm else plan)


def strength(name: str, share: float) -> float:
    """A class's strength at a share of its range, as a swarm draws it."""
    fault = REGISTRY[name]
    low, high = fault.range
    if fault.unit == "per hour":  # over several magnitudes
        return float(low * (high / low) ** share)
    return low + (high - low) * share


def _with_swarm(plan: Plan) -> Plan:
    """Each class on or off first, then its strength."""
    faults = dict(plan.faults)
    for name, fault in REGISTRY.items():
        stream = random.Random(f"{plan.seed}/swarm/{name}")
        on, share = stream.random() < fault.chance, stream.random()
        if name in faults or not on:
            continue
        faults[name] = strength(name, share)
    return msgspec.structs.replace(plan, faults=faults, swarm=False)


def checked(plan: Plan, where: str) -> Plan:
    """The plan; PlanError for values that make no run."""
    if not 1 <= plan.guests <= MOST_GUESTS:
        raise PlanError(f"{where}: guests must be within 1 and {MOST_GUESTS}, not {plan.guests}.")
    if not 0 < plan.hours <= MOST_HOURS:
        raise PlanError(f"{where}: hours must be within 0 and {MOST_HOURS:.0f}, not {plan.hours}.")
    most_seconds = MOST_HOURS * 3600.0
    if not 1 <= plan.heartbeat_seconds <= most_seconds:
        raise PlanError(
            f"{where}: heartbeat_seconds must be at least 1, not {plan.heartbeat_seconds}."
        )
    if plan.batch < 0:
        raise PlanError(f"{where}: batch must be at least 0, not {plan.batch}.")
    if not 0 <= plan.settle_seconds <= most_seconds:
        raise PlanError(
            f"{where}: settle_seconds must be within 0 and {most_seconds:.0f}, "
            f"not {plan.settle_seconds}."
        )
    _check_workload(plan, where)
    for name, strength in plan.faults.items():
        fault = REGISTRY.get(name)
        if fault is None:
            raise PlanError(f"{where}: {_unknown_fault(name)}")
        if not 0 <= strength <= fault.range[1]:
            low, high = fault.range
            raise PlanError(f"{where}: {name} must be within {low:g} and {high:g} ({fault.unit}).")
    _check_outages(plan, where)
    return plan


def _check_workload(plan: Plan, where: str) -> None:
    rate = plan.workload.operations_per_guest_hour
    if not 0 <= rate <= MOST_REQUESTS:
        raise PlanError(
            f"{where}: operations_per_guest_hour must be within 0 and {MOST_REQUESTS:.0f}, "
            f"not {rate}."
        )
    if plan.workload.guests_per_tenant < 1:
        raise PlanError(
            f"{where}: guests_per_tenant must be at least 1, not {plan.workload.guests_per_tenant}."
        )
    for name, least in (("at_once", 1), ("most_in_a_list", 1)):
        if getattr(plan.workload, name) < least:
            raise PlanError(f"{where}: {name} must be at least {least}.")
    for resource, limit in plan.workload.limits.items():
        if resource not in RESOURCES or limit < UNLIMITED:
            raise PlanError(f"{where}: {resource!r} = {limit} is no limit; of {RESOURCES}.")
    _check_schedule(plan.workload.schedule, where)
    for name, weight in plan.datastores.items():
        if name not in DATASTORES or not 0 < weight < math.inf:
            raise PlanError(
                f"{where}: {name!r} = {weight} is no datastore with a weight above 0; "
                f"of {', '.join(DATASTORES)}."
            )
    for action, weight in plan.workload.mix.items():
        if action not in USUAL_MIX:
            raise PlanError(f"{where}: {action!r} is no action; one of {', '.join(USUAL_MIX)}.")
        if not 0 <= weight < math.inf:
            raise PlanError(f"{where}: the weight of {action} must be positive, not {weight}.")
    if plan.workload.mix and not any(plan.workload.mix.values()):
        raise PlanError(f"{where}: the workload's mix has no action with a weight.")


def _check_schedule(schedule: Mapping[str, int], where: str) -> None:
    for name, value in schedule.items():
        if name not in SCHEDULE or value < 1:
            raise PlanError(f"{where}: {name!r} = {value} is none of a schedule's {SCHEDULE}.")
    if schedule and "interval_hours" not in schedule:
        raise PlanError(f"{where}: the workload's schedule has no interval_hours.")


def _check_outages(plan: Plan, where: str) -> None:
    from simulator.faults.f20_outage import SERVICES

    for outage in plan.outages:
        if outage.service not in SERVICES:
            names = ", ".join(SERVICES)
            raise PlanError(f"{where}: {outage.service!r} is no service; one of {names}.")
        if not (0 <= outage.at_minutes < math.inf and 0 < outage.minutes < math.inf):
            raise PlanError(
                f"{where}: an outage needs at_minutes of at least 0 and minutes above 0, "
                f"not {outage.at_minutes} and {outage.minutes}."
            )


def _differing(chosen: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in chosen.items() if value != usual[name]}


def _plan(document: Mapping[str, Any], where: str) -> Plan:
    try:
        plan = msgspec.convert(document, Plan)
    except msgspec.ValidationError as error:
        raise PlanError(f"{where}: {error}") from None
    return checked(plan, where)


def _unknown_fault(name: str) -> str:
    return f"There is no fault {name!r}; one of {', '.join(REGISTRY)}."
