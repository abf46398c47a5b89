"""Programs that a command runs to their end: what they have said last is told when they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from infra.errors import PackageError, StackError

LAST_LINES: Final = 20


def run(
    command: Sequence[str],
    failed: str,
    advice: str,
    *,
    seconds: float,
    error: type[StackError] = PackageError,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    """Run a program, for so many seconds at most; raises the error, by which it `failed`, with its
    last words, and with what to do."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=environment,
            cwd=folder,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise error(f"{failed}: it did not end within {seconds:.0f} s", advice) from None
    except OSError as fault:
        raise error(f"{failed}: {command[0]}: {fault.strerror}", advice) from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise error("\n".join([f"{failed}:", *said[-LAST_LINES:]]), advice)
