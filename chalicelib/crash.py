"""Dies at a named effect, for crash tests on a running stack; inert without `COFFER_CRASH_PLAN`.

A plan is a directory. A file in it named `<scope>@<k>` makes the process that runs that scope exit
without clean-up right after its k-th effect (a call that left the process and was answered), once:
the file is removed first. Scopes are "<function>.<step>" or the name of a handler, optionally with
":<instance id>" behind it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_scope: ContextVar[_Scope | None] = ContextVar("coffer_crash_scope", default=None)


class _Scope:
    def __init__(self, names: tuple[str, ...], plan: Path) -> None:
        self.names = names
        self.plan = plan
        self.effects = 0


def enabled() -> bool:
    """Whether a crash plan is set for this process."""
    return bool(os.environ.get("COFFER_CRASH_PLAN"))


@contextlib.contextmanager
def scope(name: str, instance_id: str = "") -> Iterator[None]:
    """Count the effects of the enclosed code under this name."""
    if not enabled():
        yield
        return
    plan = Path(os.environ["COFFER_CRASH_PLAN"])
    token = _scope.set(_Scope((name, f"{name}:{instance_id}"), plan))
    try:
        yield
    finally:
        _scope.reset(token)


def effect() -> None:
    """One effect has happened; die here when the plan says so."""
    current = _scope.get()
    if current is None:
        return
    current.effects += 1
    for name in current.names:
        planned = current.plan / f"{name}@{current.effects}"
        with contextlib.suppress(FileNotFoundError):
            planned.unlink()
            os._exit(137)


def watch(events: Any) -> None:
    """Count every answered call of a botocore client as an effect."""
    if enabled():
        events.register("after-call", lambda **_: effect())
