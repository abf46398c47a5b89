"""The flow `restart_instance`: the guest stops its database and starts it again.

It starts with what it is to hold of a configuration group: what it lacks it is sent before.
"""

from __future__ import annotations

from typing import Final

from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import Nothing
from chalicelib.store.models import Operation
from functions import configuring
from functions.asking import ask
from functions.outcomes import Outcome


def configure(operation: Operation, _: str | None) -> Outcome:
    """Send what the guest lacks; a database that does not run takes it too."""
    return configuring.bring(operation, to_one_that_runs=False)


def restart(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest for it."""
    return ask(operation, token, "restart", contract.RESTART, lambda _: Nothing())


STEPS: Final = {"configure": configure, "restart": restart}
