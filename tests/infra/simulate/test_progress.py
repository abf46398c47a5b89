"""What `coffer simulate` shows of a run under way, by where it is shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from infra.cli import running, summary
from simulator.result import Counters
from tests.simulator.report import samples


def counters(phase: str = "chaos", violations: int = 0) -> Counters:
    """A run on its way."""
    return Counters(1800.0, 7200.0, 4.0, 250_000, phase, 90, 3, 41, 612, violations)


def test_a_terminal_gets_a_bar_and_counters() -> None:
    text = io.StringIO()
    Console(file=text, width=140, force_terminal=True).print(running.drawn(counters()))
    for part in ("chaos", "30 min of 2 h", "━", "250 k events", "41 operations (3 live)"):
        assert part in text.getvalue()
    assert "450 virtual seconds a second" in text.getvalue()


def test_a_pipe_gets_a_line_for_each_phase() -> None:
    text = io.StringIO()
    lines = running.Lines(Console(file=text, width=140))
    for phase in ("chaos", "chaos", "heal"):
        lines.tell(counters(phase))
    assert [line.split()[0] for line in text.getvalue().splitlines()] == ["chaos", "heal"]


def narrow(text: io.StringIO) -> Console:
    """A small terminal, as the commands see one."""
    return Console(file=text, width=60, force_terminal=True, color_system=None, soft_wrap=True)


def test_a_narrow_terminal_gets_all_counters() -> None:
    text = io.StringIO()
    narrow(text).print(running.drawn(counters()), soft_wrap=False)
    assert "450 virtual seconds a second" in " ".join(text.getvalue().split())
    assert max(map(len, text.getvalue().splitlines())) <= 60


@pytest.mark.parametrize("broken", [False, True])
def test_a_narrow_terminal_gets_whole_words(broken: bool) -> None:
    text = io.StringIO()
    result = samples.result(broken=broken)
    result.operations["delete_everything"] = result.operations["create"]
    summary.show(result, narrow(text))
    assert "…" not in text.getvalue()
    lines = text.getvalue().splitlines()
    assert max(len(line.rstrip()) for line in lines if "trace" not in line) <= 60
    assert sum(line.startswith("delete_everything") for line in lines) > 1
