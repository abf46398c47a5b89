"""The flow `restart_instance`: the guest stops its database and starts it again."""

from __future__ import annotations

from typing import Final

from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import Nothing
from chalicelib.store.models import Operation
from functions.asking import ask
from functions.outcomes import Outcome


def restart(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest for it."""
    return ask(operation, token, "restart", contract.RESTART, lambda _: Nothing())


STEPS: Final = {"restart": restart}
