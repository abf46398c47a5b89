"""Stands in for the guest agent: notes that it ran and starts a detached child (a database)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Append this process to `agent.pids`, start the child once for each run, and stay."""
    root = Path(sys.argv[sys.argv.index("--root") + 1])
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with (root / "agent.pids").open("a") as file:
        file.write(f"{os.getpid()} {child.pid}\n")
    time.sleep(600)


if __name__ == "__main__":
    main()
