"""Layers of settings: what we choose for a server of a size, then what a customer has chosen.

    coffer.d/
      10-flavor.…     the engine's template for the memory that the server has
      50-group.…      the values of a configuration group

The engine reads them in the order of their names, between its defaults and what is fixed: the later
stands for the earlier. So a resize leaves what was chosen alone, and nothing stands for what is
fixed. Both files are written from the agent's state; no engine rewrites them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from chalicelib.engines.parameter import Parameter, Scalar
from guest_agent.errors import BadRequest

HEAD: Final = "# Written by the guest agent; changes are overwritten.\n"
_LONGEST_SHOWN: Final = 64


def apply(
    known: Mapping[str, Parameter],
    wanted: Mapping[str, Scalar],
    held: Callable[[], Mapping[str, Scalar]],
    change: Callable[[Mapping[str, Scalar]], None],
) -> bool:
    """Let a running engine hold what is wanted, as far as it can; whether the rest needs a restart.

    `held` asks it, `change` tells it. What it holds already is left alone, so that repeating it
    changes nothing. `BadRequest` when it was told and holds something else.
    """
    if not known:
        return False
    live = {name: each for name, each in wanted.items() if not known[name].restart_required}
    if different := _different(known, live, held()):
        change(different)
    found = held()
    if unknown := _different(known, wanted, found).keys() - found.keys():
        raise BadRequest(f"the database does not know {min(unknown)}")
    if left := _different(known, live, found):
        name, value = next(iter(left.items()))
        raise BadRequest(f"the database holds {shown(found[name])} for {name}, not {shown(value)}")
    return bool(_different(known, wanted, found))


def shown(value: Scalar) -> str:
    """A value as part of a sentence."""
    text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _different(
    known: Mapping[str, Parameter], wanted: Mapping[str, Scalar], found: Mapping[str, Scalar]
) -> dict[str, Scalar]:
    return {
        name: value
        for name, value in wanted.items()
        if not known[name].same(value, found.get(name, known[name].default))
    }
