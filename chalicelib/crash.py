"""Dies at a chosen effect, for crash tests on a running stack; inert without `COFFER_CRASH_PLAN`.

A plan is a directory. A file in it named `<scope>@<effect>` makes the process that runs that scope
exit without clean-up right after that effect (a call that left the process and was answered), once:
the file is removed first. A scope is a step ("create_instance.volume") or a handler ("conductor"),
optionally with ":<instance id>" behind it; an effect is the name of the call ("UpdateItem",
"volumes.create") or its number in the scope, from 1.
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


def effect(name: str) -> None:
    """An effect has happened; die here when the plan says so."""
    current = _scope.get()
    if current is None:
        return
    current.effects += 1
    for scoped in current.names:
        for which in (name, current.effects):
            with contextlib.suppress(FileNotFoundError):
                (current.plan / f"{scoped}@{which}").unlink()
                os._exit(137)


def watch(events: Any) -> None:
    """Take every answered call of a botocore client for an effect."""
    if enabled():
        events.register("after-call", lambda model, **_: effect(model.name))
