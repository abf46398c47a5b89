"""`make test-loaded`: the tests that start processes, again and again beside busy loops.

A test that waits for a time instead of an event passes on a quiet machine. Each round is a run of
pytest of its own; what failed in any of them is told at the end, with how often.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.bench.tables import console

TESTS: Final = (
    "tests/cloud/test_process.py",
    "tests/guest_agent",
    "tests/infra/test_cli.py",
    "tests/infra/test_endpoint.py",
    "tests/infra/test_front.py",
    "tests/infra/test_processes.py",
    "tests/infra/test_proxy.py",
    "tests/simulator/run/test_run.py",
    "tests/simulator/run/test_verify.py",
    "tests/test_mariadb.py",
)
BUSY_LOOPS: Final = 2
PYTEST: Final = (
    *(sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup"),
    *("-m", "not deep and not crash and not bench and not stack and not api"),
    *("-p", "no:cacheprovider"),
)
NOTHING_FAILED: Final = 0
LOOP: Final = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    pass"
"""It ends with whoever started it, however that was ended."""
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Meanwhile so many processes do nothing as fast as they can."""
    made = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(loops)]
    try:
        yield
    finally:
        for each in made:
            each.kill()
            each.wait()


def run(rounds: int, loops: int, tests: list[str]) -> Counter[str]:
    """How often which test failed; a run that ended otherwise counts under its own name."""
    failed: Counter[str] = Counter()
    for number in range(1, rounds + 1):
        began = time.monotonic()
        with busy(loops):
            done = subprocess.run([*PYTEST, *tests], capture_output=True, text=True, check=False)
        found = _FAILED.findall(done.stdout)
        if done.returncode != NOTHING_FAILED:
            failed.update(found or [f"pytest ended with {done.returncode}"])
            console.print(done.stdout[-20000:], done.stderr[-2000:], markup=False)
        took = time.monotonic() - began
        last = done.stdout.strip().rsplit("\n", 1)[-1]
        console.print(f"round {number} of {rounds}, {took:.0f} s: {last}", markup=False)
    return failed


def main() -> int:
    """Zero when no test failed in any round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--loops", type=int, default=BUSY_LOOPS)
    parser.add_argument("tests", nargs="*", default=list(TESTS))
    chosen = parser.parse_args()
    failed = run(chosen.rounds, chosen.loops, chosen.tests)
    for name, times in failed.most_common():
        console.print(f"{name}: failed in {times} of {chosen.rounds} rounds", markup=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
