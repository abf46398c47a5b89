"""Watches the effects of each scope, for tests on a running stack; off without a crash plan.

A plan (`COFFER_CRASH_PLAN`) is a directory. A file `<scope>@<effect>` in it makes the process that
runs that scope exit without clean-up right after that effect (a call that left the process and was
answered), once: the file is removed first. A scope is a step ("create_instance.volume") or a
handler ("conductor"); an effect is the name of the call ("UpdateItem", "volumes.create") or its
number in the scope, from 1. If the plan holds a file `effects.log`, each effect is written down
there as "<seconds since the epoch> <scope> <name>": what the benchmark counts, and puts in order.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

LOG_NAME: Final = "effects.log"

_scope: ContextVar[_Scope | None] = ContextVar("coffer_crash_scope", default=None)


class _Scope:
    def __init__(self, name: str) -> None:
        self.name = name
        self.effects = 0


def _plan() -> Path | None:
    plan = os.environ.get("COFFER_CRASH_PLAN")
    return Path(plan) if plan else None


@contextlib.contextmanager
def scope(name: str) -> Iterator[None]:
    """Count the effects of the enclosed code under this name."""
    token = _scope.set(_Scope(name))
    try:
        yield
    finally:
        _scope.reset(token)


def effect(name: str) -> None:
    """An effect has happened; die here when the plan says so."""
    plan, current = _plan(), _scope.get()
    if plan is None:
        return
    if (plan / LOG_NAME).exists():
        with (plan / LOG_NAME).open("a") as log:
            now = datetime.now(UTC).timestamp()
            log.write(f"{now:.6f} {current.name if current else '-'} {name}\n")
    if current is None:
        return
    current.effects += 1
    for which in (name, current.effects):
        with contextlib.suppress(FileNotFoundError):
            (plan / f"{current.name}@{which}").unlink()
            os._exit(137)


def watch(events: Any) -> None:
    """Take every answered call of a botocore client for an effect."""
    if _plan() is not None:
        events.register("after-call", lambda model, **_: effect(model.name))
