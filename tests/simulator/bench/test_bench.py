"""What the simulator costs: ratios of virtual to real time, events, memory, a region's return.

Each figure is measured in a process of its own. Beside the wall's seconds stand the CPU's, which
say more on a machine that is shared.
"""

from __future__ import annotations

import heapq
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulator.kernel import Kernel
from simulator.plan import Plan, load_scenario, with_options, write
from tests.bench.tables import console, table
from tests.simulator.bench import idle

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).resolve().parents[3]
EVENTS = 300_000
TIMERS = 1_000
STORM_HEARTBEAT_SECONDS = 300
LEAST_IDLE_RATIO = 1.0
LEAST_SHARE = 0.06
"""Of the shipped code's own heartbeats in a CPU second, by a fleet of 10,000. Whoever looks through
the whole fleet at each of them, as an invariant did, comes to 0.03."""


def measured(plan: Plan, tmp_path: Path, how: str = "chaos") -> dict[str, float]:
    """The figures of one plan, run in a process of its own."""
    path = tmp_path / f"{plan.scenario}-{plan.guests}.json"
    write(plan, path)
    figures = in_its_own_process("measure", str(path), how)
    assert figures["broken"] == 0, figures
    return figures


def in_its_own_process(module: str, *arguments: str) -> dict[str, float]:
    """What a module of this folder writes: figures by name."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.simulator.bench.{module}", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def scenario(name: str, **changes: Any) -> Plan:
    """A scenario with other guests, hours, heartbeats or operations."""
    rate = changes.pop("operations_per_guest_hour", None)
    plan = load_scenario(name)
    if rate is not None:
        workload = msgspec.structs.replace(plan.workload, operations_per_guest_hour=rate)
        changes["workload"] = workload
    return with_options(msgspec.structs.replace(plan, **changes))


def load() -> str:
    """How busy the machine was, for whoever compares."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def test_speed(tmp_path: Path) -> None:
    smoke = load_scenario("smoke").faults
    runs = {
        "10,000 idle guests, heartbeats every 60 s": scenario("idle", guests=10_000, hours=0.05),
        "1,000 guests, all faults, 1 operation per guest-hour": scenario(
            "chaos", guests=1_000, hours=0.25, faults=smoke, swarm=False,
            operations_per_guest_hour=1.0,
        ),
    }  # fmt: skip
    shown = table(
        f"Virtual seconds per second ({load()})",
        "", "virtual s", "wall s", "CPU s", "per wall s", "per CPU s", "messages/CPU s", "faults",
    )  # fmt: skip
    for label, plan in runs.items():
        figures = measured(plan, tmp_path)
        shown.add_row(
            label,
            f"{figures['virtual']:.0f}",
            f"{figures['wall']:.1f}",
            f"{figures['cpu']:.1f}",
            f"{figures['virtual'] / figures['wall']:.1f}",
            f"{figures['virtual'] / figures['cpu']:.1f}",
            f"{figures['heartbeats'] / figures['cpu']:,.0f}",
            f"{figures['injected']:,.0f}",
        )
        assert figures["virtual"] / figures["cpu"] > LEAST_IDLE_RATIO
    console.print(shown)


def test_heartbeats_beside_the_shipped_code_alone(tmp_path: Path) -> None:
    bare = in_its_own_process("bare", "10000")
    simulated = measured(scenario("idle", guests=10_000, hours=0.05), tmp_path)
    alone = bare["heartbeats"] / bare["cpu"]
    shown = table(f"Heartbeats ({load()})", "", "a CPU second", "of the shipped code alone")
    shown.add_row("sealed, handled, written to a dict", f"{alone:,.0f}", "1.00")
    rate = simulated["heartbeats"] / simulated["cpu"]
    shown.add_row("by 10,000 simulated guests", f"{rate:,.0f}", f"{rate / alone:.2f}")
    console.print(shown)
    assert rate / alone > LEAST_SHARE


def test_events_beside_a_bare_heap() -> None:
    shown = table(f"Events of {TIMERS:,} timers ({load()})", "", "events/CPU s", "of the bare heap")
    bare = EVENTS / _seconds(_bare_heap)
    for label, rate in (
        ("heap of tuples, pop, call, push", bare),
        ("kernel, callbacks", EVENTS / _seconds(_callbacks)),
        ("kernel, coroutines that sleep", EVENTS / _seconds(_coroutines)),
    ):
        shown.add_row(label, f"{rate:,.0f}", f"{rate / bare:.2f}")
    console.print(shown)


def _seconds(function: Any) -> float:
    times = []
    for _ in range(3):
        began = time.process_time()
        function()
        times.append(time.process_time() - began)
    return min(times)


def _bare_heap() -> None:
    left = EVENTS
    heap = [(float(number), number, number) for number in range(TIMERS)]
    order = TIMERS

    def call(number: int) -> float:
        return float(TIMERS + number % 7)

    while left:
        when, _, number = heapq.heappop(heap)
        order += 1
        heapq.heappush(heap, (when + call(number), order, number))
        left -= 1


def _callbacks() -> None:
    kernel = Kernel(1)

    def ring(number: int) -> None:
        kernel.call_later(float(TIMERS + number % 7), ring, number)

    for number in range(TIMERS):
        kernel.call_later(float(number), ring, number)
    while kernel.events < EVENTS:
        kernel.run(kernel.now + TIMERS)


def _coroutines() -> None:
    kernel = Kernel(1)

    def sleeper() -> None:
        while True:
            kernel.sleep(float(TIMERS))

    for number in range(TIMERS):
        kernel.spawn(sleeper, f"sleeper {number}")
    while kernel.events < EVENTS:
        kernel.run(kernel.now + TIMERS)


def test_time_and_memory_of_idle_fleets(tmp_path: Path) -> None:
    shown = table(
        f"Idle fleets, 2 virtual minutes ({load()})",
        "guests", "set up, CPU s", "KiB a guest", "run, CPU s", "CPU ms a guest-minute",
        "KiB after",
    )  # fmt: skip
    for guests in (1_000, 10_000, 100_000):
        figures = measured(scenario("idle", guests=guests, hours=1 / 30), tmp_path)
        minutes = guests * figures["virtual"] / 60
        shown.add_row(
            f"{guests:,}",
            f"{figures['setup_cpu']:.1f}",
            f"{figures['guest_kib']:.1f}",
            f"{figures['cpu']:.1f}",
            f"{figures['cpu'] / minutes * 1000:.3f}",
            f"{figures['end_kib']:.1f}",
        )
    console.print(shown)


def test_a_region_comes_back_to_a_hundred_thousand_guests(tmp_path: Path) -> None:
    plan = scenario(
        "storm",
        guests=100_000,
        hours=0.5,
        heartbeat_seconds=STORM_HEARTBEAT_SECONDS,
        operations_per_guest_hour=0.01,
    )
    figures = measured(plan, tmp_path, "whole")
    shown = table(
        f"100,000 guests, heartbeats every {STORM_HEARTBEAT_SECONDS} s, 12 of 30 minutes without "
        f"the region, then until all is at rest ({load()})",
        "virtual s", "wall s", "CPU s", "messages", "operations", "events", "KiB a guest",
        "promises",
    )  # fmt: skip
    shown.add_row(
        f"{figures['whole_virtual']:.0f}",
        f"{figures['whole_wall']:.0f}",
        f"{figures['whole_cpu']:.0f}",
        f"{figures['heartbeats']:,.0f}",
        f"{figures['operations']:,.0f}",
        f"{figures['events']:,.0f}",
        f"{figures['end_kib']:.1f}",
        f"{figures['holding']:.0f} hold",
    )
    console.print(shown)


def test_an_idle_guests_month() -> None:
    idle.main()
