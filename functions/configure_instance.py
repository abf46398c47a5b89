"""The flow `configure_instance`: the guest holds the values of the group that its instance has."""

from __future__ import annotations

from typing import Final

from chalicelib.bus import contract
from chalicelib.domain.operations import command_id
from chalicelib.store import commands as rows
from chalicelib.store import instances
from chalicelib.store.models import Operation
from functions import configuring
from functions.asking import ask
from functions.outcomes import Failed, Outcome


def configure(operation: Operation, token: str | None) -> Outcome:
    """Send all values as they are now; the guest puts them in the place of what it holds."""
    wanted = configuring.wanted(operation, instances.get_instance(operation.instance_id))
    return ask(operation, token, "configure", contract.UPDATE_OVERRIDES, lambda _: wanted)


def told(operation: Operation, _: str | None) -> Outcome:
    """Record what it has answered: whether some of it waits for a restart."""
    asked = rows.find(command_id(operation.id, "configure"))
    if asked is None or asked.result is None:
        return Failed("What the guest agent has answered is not known any more.")
    answer = contract.UPDATE_OVERRIDES.decode(asked.result)
    return configuring.held_since(operation, answer)


STEPS: Final = {"configure": configure, "told": told}
