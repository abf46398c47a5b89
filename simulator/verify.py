"""The same plan in a second process, under another hash seed: what L9 compares a run with.

As a program (`python -m simulator.verify`) it is that second process: a plan in JSON on stdin, the
hash of its trace on stdout.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple

import msgspec

from simulator.invariants.l09_determinism import Determinism
from simulator.plan import Plan, parsed

if TYPE_CHECKING:
    from simulator.result import Result
    from simulator.run import Run

RAISED: Final = 70
"""EX_SOFTWARE: the second run raised an error."""
INTERRUPTED: Final = 130
HASH_SEEDS: Final = ("1", "2")
_FOLDER: Final = str(Path(__file__).resolve().parents[1])


class SecondRun(NamedTuple):
    """A run in another process, beside whatever this one does."""

    process: subprocess.Popen[bytes]
    said: IO[bytes]

    def ended(self) -> tuple[int, str]:
        """Wait for it: its exit code, and its trace's hash or the last thing that it said."""
        output, _ = self.process.communicate()
        if self.process.returncode == 0:
            return 0, output.decode().strip()
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").strip().splitlines()
        return self.process.returncode, lines[-1] if lines else ""


@contextlib.contextmanager
def second_run(plan: Plan) -> Iterator[SecondRun]:
    """Begin one; it is over, one way or another, when the context is."""
    own = os.environ.get("PYTHONHASHSEED")
    environment = {
        **os.environ,
        "PYTHONHASHSEED": next(seed for seed in HASH_SEEDS if seed != own),
        "PYTHONPATH": os.pathsep.join(filter(None, (_FOLDER, os.environ.get("PYTHONPATH")))),
    }
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(msgspec.json.encode(plan))
        given.seek(0)
        with subprocess.Popen(
            [sys.executable, "-m", "simulator.verify"],
            env=environment,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=said,  # a pipe that nobody reads would hold the run up
        ) as process:
            try:
                yield SecondRun(process, said)
            finally:
                process.kill()


def compared(run: Run, result: Result, second: SecondRun) -> None:
    """Wait for the second run, and put the verdict on L9 into the result of the first."""
    assert run.invariants is not None
    determinism = run.invariants.each[Determinism.id]
    assert isinstance(determinism, Determinism)
    code, text = second.ended()
    if code == 0:
        determinism.compare(result.trace_hash, text)
    elif code == RAISED:
        determinism.broke_off(text)
    else:
        determinism.unanswered = f"the second process ended with {code}: {text or 'no word'}"
    result.invariants[Determinism.id] = run.invariants.result(Determinism.id)


def main() -> int:
    """Run the plan on stdin; its exit code."""
    from simulator.run import Run

    try:
        # Whatever a handler prints is not the hash.
        with contextlib.redirect_stdout(sys.stderr):
            result = Run(parsed(sys.stdin.buffer.read(), "stdin")).execute()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the first process tells it
        sys.stderr.write(f"\n{type(error).__name__}: {' '.join(str(error).split())}\n")
        return RAISED
    sys.stdout.write(result.trace_hash)
    return 0


if __name__ == "__main__":
    sys.exit(main())
