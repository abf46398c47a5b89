"""One measured run in a process of its own, so that its memory is its own: JSON to stdout.

python -m tests.simulator.bench.measure PLAN.json {chaos|whole}
"""

from __future__ import annotations

import json
import sys
import time

import psutil

from simulator.plan import read
from simulator.result import Counters
from simulator.run import Run


class Watch:
    """Wall and CPU seconds since it was made: the CPU's say more when a machine is shared."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def resident_kib() -> float:
    """The memory that this process has now."""
    return float(psutil.Process().memory_info().rss) / 1024


def _say(counters: Counters) -> None:
    """A run that takes minutes says where it is; once for each sample of its series."""
    sys.stderr.write(
        f"\r{counters.phase} {counters.virtual_seconds:.0f} virtual seconds "
        f"in {counters.wall_seconds:.0f} s, {counters.violations} violations "
    )


def measured(run: Run, *, whole: bool) -> dict[str, float]:
    """Set up and run the chaos; with `whole` also heal and check, to the end."""
    before = resident_kib()
    watch = Watch()
    run._set_up()
    setup_wall, setup_cpu = watch.read()
    guests_kib = resident_kib() - before
    run._progress = _say if sys.stderr.isatty() else None
    watch, events, began = Watch(), run.world.kernel.events, run.world.elapsed
    run._chaos()
    wall, cpu = watch.read()
    figures = {
        "guests": run.world.plan.guests,
        "setup_wall": setup_wall,
        "setup_cpu": setup_cpu,
        "guest_kib": guests_kib / run.world.plan.guests,
        "wall": wall,
        "cpu": cpu,
        "virtual": run.world.elapsed - began,
        "events": run.world.kernel.events - events,
        "heartbeats": _heartbeats(run),
        "operations": run.meters.accepted.total(),
        "injected": run.world.injected.total(),
    }
    if whole:
        run._heal()
        run._check()
        figures["whole_wall"], figures["whole_cpu"] = watch.read()
        figures["whole_virtual"] = run.world.elapsed
    figures["end_kib"] = (resident_kib() - before) / run.world.plan.guests
    assert run.invariants is not None
    results = run.invariants.results()
    figures["broken"] = sum(each.verdict == "broken" for each in results.values())
    figures["holding"] = sum(each.verdict == "holds" for each in results.values())
    return figures


def _heartbeats(run: Run) -> int:
    """Messages that the fleet has sent in heartbeats and reports."""
    return run.world.calls_by_service().get("sqs", {}).get("SendMessage", 0)


def main(plan: str, how: str) -> None:
    run = Run(read(plan))
    try:
        figures = measured(run, whole=how == "whole")
    finally:
        run.close()
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
