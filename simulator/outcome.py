"""What a run hands back: how far it is while it goes on, and its result at the end."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from simulator import cost
from simulator.faults import REGISTRY, Fault
from simulator.meters import Meters
from simulator.result import Counters, ErrorResult, FaultResult, Result
from simulator.workload import Workload
from simulator.world import World


class Run(Protocol):
    """What a run is made of, as far as it is told."""

    world: World
    workload: Workload
    meters: Meters
    phase: str
    setup_wall_seconds: float

    @property
    def faults(self) -> Sequence[Fault]: ...
    @property
    def wall_seconds(self) -> float: ...
    def errors(self) -> list[tuple[str, BaseException]]: ...


def counters(run: Run) -> Counters:
    """Where a run is."""
    return Counters(
        virtual_seconds=run.world.elapsed,
        of_virtual_seconds=run.world.plan.hours * 3600.0,
        wall_seconds=run.wall_seconds,
        events=run.world.kernel.events,
        phase=run.phase,
        guests=run.meters.guests,
        live_operations=run.meters.live,
        operations=run.meters.accepted.total(),
        injected=run.world.injected.total(),
        violations=len(run.world.invariants.violations) if run.world.invariants is not None else 0,
    )


def result(run: Run) -> Result:
    """All that a run which came to its end has to say."""
    assert run.world.invariants is not None
    run.meters.series.faults = run.world.lanes
    plan: dict[str, Any] = msgspec.to_builtins(run.world.plan)
    return Result(
        scenario=run.world.plan.scenario,
        seed=run.world.plan.seed,
        guests=run.world.plan.guests,
        virtual_seconds=run.world.elapsed,
        wall_seconds=run.wall_seconds,
        setup_wall_seconds=run.setup_wall_seconds,
        events=run.world.kernel.events,
        trace_hash=run.world.kernel.trace_hash,
        guest_hours=run.meters.guest_hours,
        operations=run.meters.operations(),
        faults=_faults(run),
        invariants=run.world.invariants.results(),
        calls=run.world.calls_by_service(),
        retries=run.world.region.effects.retries.total(),
        asked=run.workload.asked,
        replies={
            str(status): run.workload.replies[status] for status in sorted(run.workload.replies)
        },
        cost=cost.of(run.world, run.meters.guest_hours),
        series=run.meters.series,
        plan=plan,
        errors=[ErrorResult(who, type(error).__name__, told(error)) for who, error in run.errors()],
    )


def told(error: BaseException) -> str:
    """An error with where it was raised, as Python shows it."""
    return "".join(traceback.format_exception(error)).strip()


def _faults(run: Run) -> dict[str, FaultResult]:
    """Every class: reached when it was on and struck at least once."""
    strengths = {fault.id: fault.strength for fault in run.faults}
    found = {}
    for name, kind in REGISTRY.items():
        injected = run.world.injected[name]
        if name not in strengths:
            reason = "off in this run"
        else:
            reason = "" if injected else "chance did not strike in this run"
        found[name] = FaultResult(
            title=kind.title,
            strength=strengths.get(name),
            injected=injected,
            reached=bool(injected),
            reason=reason,
        )
    return found
