"""What a resize to another flavor and a migration have in common: Nova moves the server.

    stop_database ─▶ the move ─▶ answers ─▶ settings ─▶ confirm
                       VERIFY_RESIZE                     until here Nova takes it back

A server that waits for its confirmation has booted elsewhere, with its disks. Nova's states are the
same for both; what differs is how the move is asked for, and by what a server is seen to have made
it (`Move`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from chalicelib import aws
from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import Flavor, StartForFlavor
from chalicelib.cloud import servers
from chalicelib.cloud.servers import Server
from chalicelib.store import instances
from chalicelib.store.base import as_dict
from chalicelib.store.models import Operation
from functions import configuring, power
from functions.asking import ask
from functions.outcomes import Done, Failed, Outcome, not_yet

MOST_ASKED: Final = 3
"""So often a server may come back as it was, for which Nova gives no reason: no host took it."""
ASKING_SECONDS: Final = 300.0
"""So long a cloud may refuse to begin: the database is down meanwhile."""
BOOT_SECONDS: Final = 300.0
"""So long a server has until its agent reports, else it is better off where it was."""
_AT_IT: Final = ("RESIZE", "REVERT_RESIZE")


class Move(msgspec.Struct, frozen=True):
    """One kind of move; `name` is the user's word for it.

    `is_there`: the server is as asked; `is_back`: as before. Both may hold, when nothing was to
    change. `ask_back` is the way back of one that the cloud has confirmed by itself, if it needs
    one.
    """

    name: str
    ask: Callable[[Operation, Server], None]
    is_there: Callable[[Operation, Server], bool]
    is_back: Callable[[Operation, Server], bool]
    ask_back: Callable[[Operation, Server], None] | None = None

    @property
    def no_host(self) -> str:
        """Why a server is still as it was, as far as anybody knows."""
        return f"Nova took the {self.name} and left the server as it was: no host has room for it."

    def begin(self, operation: Operation, _: str | None) -> Outcome:
        """Ask Nova for it and see the server run as asked, to be confirmed or not."""
        found = power.server_of(operation)
        if found is None:
            return Failed(power.VANISHED)
        if found.moving or found.status in _AT_IT:
            return wait_for(operation, found)
        if found.status == "ERROR":
            return Failed(power.went_to_error(found))
        if self.is_there(operation, found) and found.status in ("VERIFY_RESIZE", "ACTIVE"):
            booted = found.status == "VERIFY_RESIZE" or not self.is_back(operation, found)
            return Done({"has_booted": booted})
        if found.status == "VERIFY_RESIZE":
            return Failed("The server waits for the confirmation of another resize.")
        if found.status == "SHUTOFF":
            servers.start(found.id)
        if found.status != "ACTIVE":
            return wait_for(operation, found)
        asked = int(as_dict(operation.resources).get("moves_asked", 0))
        if asked >= MOST_ASKED:
            return Failed(self.no_host)
        if aws.clock() > as_dict(operation.started)[operation.step or ""] + ASKING_SECONDS:
            return Failed(f"The cloud did not begin the {self.name} in time.")
        self.ask(operation, found)
        return not_yet(operation, f"the {self.name} was asked for", {"moves_asked": asked + 1})

    def confirm(self, operation: Operation, _: str | None) -> Outcome:
        """Let Nova forget the old place of the server."""
        found = power.server_of(operation)
        if found is None:
            return Failed(power.VANISHED)
        if found.status == "ERROR":
            return Failed(power.went_to_error(found))
        if found.moving or found.status not in ("VERIFY_RESIZE", "ACTIVE", "SHUTOFF"):
            return wait_for(operation, found)
        if not self.is_there(operation, found):
            return Failed(f"Somebody has taken the {self.name} back.")
        if found.status == "SHUTOFF":  # nothing is left to confirm, and it was to run
            servers.start(found.id)
            return wait_for(operation, found)
        if found.status == "ACTIVE":
            return Done()
        servers.confirm_resize(found.id)
        return not_yet(operation, f"the {self.name} is being confirmed")

    def revert(self, operation: Operation, _: str | None) -> Outcome:
        """See the server as it was before, switched on or off.

        From ERROR Nova lets it be stopped only.
        """
        found = power.server_of(operation)
        if found is None:
            return Failed(power.VANISHED)
        if found.moving or found.status in _AT_IT:
            return wait_for(operation, found)
        if found.status == "ERROR":
            servers.stop(found.id)
        elif found.status == "VERIFY_RESIZE":
            back = self.is_back(operation, found)
            (servers.confirm_resize if back else servers.revert_resize)(found.id)
        elif found.status in ("ACTIVE", "SHUTOFF"):
            back = self.is_back(operation, found) or not self.is_there(operation, found)
            if back or self.ask_back is None:
                return Done()
            self.ask_back(operation, found)
        return wait_for(operation, found)


def answers(operation: Operation, _: str | None) -> Outcome:
    """See the agent in another epoch than when it was asked for, if its server has booted for it.

    A command that is sent before may go to the receive that the agent of before had open.
    """
    booted = as_dict(operation.resources).get("has_booted")
    epoch = instances.epoch_of(operation.instance_id)
    if not booted or epoch > int((operation.arguments or {})["epoch"]):
        return configuring.bring(operation)
    if aws.clock() > as_dict(operation.started)["answers"] + BOOT_SECONDS:
        return Failed("The guest agent did not come back with its server.")
    return not_yet(operation, "the guest agent has not reported yet")


def configure(operation: Operation, token: str | None, size: dict[str, Any]) -> Outcome:
    """Let the database run for a flavor; its agent reads back that it does."""
    wanted = StartForFlavor(Flavor(int(size["ram"]), int(size["vcpus"])))
    step, method = operation.step or "", contract.START_DB_WITH_CONF_CHANGES
    return ask(operation, token, step, method, lambda _: wanted)


def wait_for(operation: Operation, found: Server) -> Outcome:
    """Look again at a server that Nova is at."""
    return not_yet(operation, f"the server is in {found.status}")
