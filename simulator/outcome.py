"""What a run hands back: how far it is while it goes on, and its result at the end."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import msgspec

from simulator import cost
from simulator.faults import REGISTRY
from simulator.result import Counters, ErrorResult, FaultResult, Result

if TYPE_CHECKING:
    from simulator.run import Run


def counters(run: Run) -> Counters:
    """Where a run is."""
    return Counters(
        virtual_seconds=run.elapsed,
        of_virtual_seconds=run.plan.hours * 3600.0,
        wall_seconds=run.wall_seconds,
        events=run.kernel.events,
        phase=run.phase,
        guests=run.meters.guests,
        live_operations=run.meters.live,
        operations=run.meters.accepted.total(),
        injected=run.injected.total(),
        violations=len(run.invariants.violations) if run.invariants is not None else 0,
    )


def result(run: Run) -> Result:
    """All that a run which came to its end has to say."""
    assert run.invariants is not None
    run.meters.series.faults = run.lanes
    plan: dict[str, Any] = msgspec.to_builtins(run.plan)
    return Result(
        scenario=run.plan.scenario,
        seed=run.plan.seed,
        guests=run.plan.guests,
        virtual_seconds=run.elapsed,
        wall_seconds=run.wall_seconds,
        setup_wall_seconds=run.setup_wall_seconds,
        events=run.kernel.events,
        trace_hash=run.kernel.trace_hash,
        guest_hours=run.meters.guest_hours,
        operations=run.meters.operations(),
        faults=_faults(run),
        invariants=run.invariants.results(),
        calls=run.calls_by_service(),
        retries=run.region.effects.retries.total(),
        asked=run.workload.asked,
        replies={
            str(status): run.workload.replies[status] for status in sorted(run.workload.replies)
        },
        cost=cost.of(run),
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
        injected = run.injected[name]
        if not kind.reached:
            reason = kind.reason
        elif name not in strengths:
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
