"""What a sample of mutants says: shares by judge and by module, and each that nobody noticed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.mutation.verdicts import Mutant, Verdict

ENOUGH: Final = 0.85
"""The share that tests and swarm together have to notice."""
ENOUGH_BY_SWARM: Final = 0.5
"""The share of those whose line runs in the swarm that it has to notice alone."""

Judged = Sequence[tuple[Mutant, Verdict]]


def report(judged: Judged, of: int) -> bool:
    """Write it; whether enough of what was judged was noticed."""
    verdicts = [verdict for _, verdict in judged]
    ran = [verdict for verdict in verdicts if verdict.ran]
    noticed = sum(verdict.noticed for verdict in verdicts)
    by_swarm = sum(bool(verdict.swarm) for verdict in ran)
    lines = [
        f"{len(judged)} of {of} mutants are judged",
        _line("noticed by anybody", noticed, len(verdicts)),
        _line("by the tests of their folder", sum(bool(v.tests) for v in verdicts), len(verdicts)),
        _line("by the swarm, of those that run in it", by_swarm, len(ran)),
    ]
    for folder in sorted({str(Path(mutant.module).parent) for mutant, _ in judged}):
        within = [v for m, v in judged if str(Path(m.module).parent) == folder]
        lines.append(_line(f"  {folder}", sum(v.noticed for v in within), len(within)))
    lines += [survivor(*each) for each in judged if not each[1].noticed]
    sys.stdout.write("\n".join(lines) + "\n")
    return noticed >= ENOUGH * len(verdicts) and by_swarm >= ENOUGH_BY_SWARM * len(ran)


def survivor(mutant: Mutant, verdict: Verdict) -> str:
    """One that nobody noticed, for people."""
    mutation = mutant.mutation
    where = "" if verdict.ran else " (does not run in the swarm)"
    return (
        f"\n{mutant.module}:{mutation.line} {mutation.what}{where}\n"
        f"- {mutation.before}\n+ {mutation.after}"
    )


def _line(what: str, part: int, whole: int) -> str:
    share = f"{100 * part / whole:.0f} %" if whole else "none"
    return f"{what:<42} {part:>4} of {whole:>4}  {share}"
