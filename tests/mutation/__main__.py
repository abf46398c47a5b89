"""`make mutate`: a random sample of mutants, judged; what is judged already is not judged again.

    python -m tests.mutation --sample 200 --seed 1 --jobs 2 --seconds 230

Mutants run in copies of the tree. Verdicts are lines of `.cache/mutation/verdicts.jsonl`; one
counts as long as its module is the same. `--again survivors` judges once more what nobody noticed,
`--again missed` asks each judge who missed a mutant, when tests or invariants are new. The report
names each that nobody noticed, with its change.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from tests.mutation.report import report
from tests.mutation.trees import Trees
from tests.mutation.verdicts import Again, Mutant, Verdict, Verdicts, mutants

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".cache" / "mutation"


def main() -> int:
    """0 when enough mutants were noticed, 1 when not, 75 when time was up before the last one."""
    options = _options()
    chosen = sample(mutants(ROOT), options.sample, options.seed)
    verdicts = Verdicts(CACHE / "verdicts.jsonl")
    until = time.monotonic() + options.seconds
    with Trees(ROOT, CACHE, options.jobs) as trees, ThreadPoolExecutor(options.jobs) as pool:
        waiting = [each for each in chosen if verdicts.wanted(each, options.again)]
        waiting = [each for each in waiting if each.module.startswith(options.under)]
        running: dict[Future[Verdict], Mutant] = {}
        while waiting or running:
            while waiting and len(running) < options.jobs and time.monotonic() < until:
                mutant = waiting.pop(0)
                running[pool.submit(trees.judged, mutant, verdicts.of(mutant))] = mutant
            if not running:
                break
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                verdicts.add(running.pop(done), done.result())
    judged = [(each, known) for each in chosen if (known := verdicts.of(each))]
    enough = report(judged, len(chosen))
    return 75 if len(judged) < len(chosen) else int(not enough)


def sample(everything: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """So many of them, each as likely as any; the first of a larger sample are the smaller one.

    Each has its place by its own name: code that comes or goes elsewhere does not change the rest.
    """

    def place(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed}/{mutant.name}".encode()).digest()

    return sorted(everything, key=place)[:count]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", type=Again, choices=list(Again), default=Again.NONE)
    parser.add_argument("--under", default="", help="only those of the sample in this folder")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none later")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
