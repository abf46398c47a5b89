"""The benches' programs run: they call the shipped handlers, and nobody else runs them each day."""

from __future__ import annotations

from pathlib import Path

from tests.simulator.bench.test_bench import in_its_own_process, measured, scenario


def test_the_shipped_handler_alone_takes_heartbeats() -> None:
    figures = in_its_own_process("bare", "20")
    assert figures["heartbeats"] == 20
    assert figures["cpu"] > 0


def test_a_small_run_is_measured(tmp_path: Path) -> None:
    figures = measured(scenario("idle", guests=20, hours=0.1), tmp_path)
    assert figures["heartbeats"] > 0
