"""The flow `resize_flavor`: the database ends, Nova resizes its server, it goes on for the new.

    stop_database ─▶ resize ─▶ answers ─▶ settings ─▶ confirm
                       VERIFY_RESIZE                     until here Nova takes it back

A server that waits for its confirmation has booted on another host, with its disks and the new
flavor. Where the cloud confirms by itself, the way back is another resize. In between the database
comes up configured for the smaller of the two flavors, which fits both.
"""

from __future__ import annotations

from typing import Any, Final

from chalicelib import aws
from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import Flavor, StartForFlavor, StopDatabase
from chalicelib.cloud import servers
from chalicelib.cloud.servers import Server
from chalicelib.store import instances
from chalicelib.store.base import as_dict
from chalicelib.store.models import Operation
from functions import power
from functions.asking import ask
from functions.outcomes import Done, Failed, Outcome, not_yet
from functions.undoing import after, unless_deleted, unless_lost

MOST_ASKED: Final = 3
"""So often a server may come back as it was, for which Nova gives no reason: no host took it."""
ASKING_SECONDS: Final = 300.0
"""So long a cloud may refuse to begin: the database is down meanwhile."""
BOOT_SECONDS: Final = 300.0
"""So long a server has until its agent reports, else it is better off where it was."""
NO_HOST: Final = "Nova took the resize and left the server as it was: no host has room for it."
_AT_IT: Final = ("RESIZE", "REVERT_RESIZE")


def stop_database(operation: Operation, token: str | None) -> Outcome:
    """Let the database end in order; it comes back with the server."""
    sizes = _flavor(operation, "flavor"), _flavor(operation, "before")
    smaller = Flavor(*(min(int(size[name]) for size in sizes) for name in ("ram", "vcpus")))
    wanted = StopDatabase(flavor=smaller)
    return ask(operation, token, "stop_database", contract.STOP_DB, lambda _: wanted)


def resize(operation: Operation, _: str | None) -> Outcome:
    """Ask Nova for the flavor and see the server run with it, to be confirmed or not."""
    found = power.server_of(operation)
    if found is None:
        return Failed(power.VANISHED)
    if found.moving or found.status in _AT_IT:
        return _wait_for(operation, found)
    if found.status == "ERROR":
        return Failed(f"The server went to ERROR: {found.fault or 'Nova gave no reason'}")
    if _has(found, operation, "flavor") and found.status in ("VERIFY_RESIZE", "ACTIVE"):
        return Done({"has_booted": found.status == "VERIFY_RESIZE"})
    if found.status == "VERIFY_RESIZE":
        return Failed("The server waits for the confirmation of another resize.")
    if found.status == "SHUTOFF":
        servers.start(found.id)
    if found.status != "ACTIVE":
        return _wait_for(operation, found)
    asked = _asked(operation)
    if asked >= MOST_ASKED:
        return Failed(NO_HOST)
    if aws.clock() > as_dict(operation.started)["resize"] + ASKING_SECONDS:
        return Failed("The cloud did not begin the resize in time.")
    servers.resize(found.id, _flavor(operation, "flavor")["id"])
    return not_yet(operation, "the resize was asked for", {"resizes_asked": asked + 1})


def answers(operation: Operation, _: str | None) -> Outcome:
    """See the agent in another epoch than when it was asked for, if its server has booted for it.

    A command that is sent before may go to the receive that the agent of before had open.
    """
    reported = instances.service_status(operation.instance_id)
    epoch = int(reported.epoch) if reported is not None else 0
    if not as_dict(operation.resources).get("has_booted") or epoch > int(
        (operation.arguments or {})["epoch"]
    ):
        return Done()
    if aws.clock() > as_dict(operation.started)["answers"] + BOOT_SECONDS:
        return Failed("The guest agent did not come back with its server.")
    return not_yet(operation, "the guest agent has not reported yet")


def settings(operation: Operation, token: str | None) -> Outcome:
    """Let the database run for the new flavor; its agent reads back that it does."""
    return _configure(operation, token, "settings", "flavor")


def confirm(operation: Operation, _: str | None) -> Outcome:
    """Let Nova forget the old place of the server."""
    found = power.server_of(operation)
    if found is None:
        return Failed(power.VANISHED)
    if found.status == "ERROR":
        return Failed(f"The server went to ERROR: {found.fault or 'Nova gave no reason'}")
    if found.moving or found.status not in ("VERIFY_RESIZE", "ACTIVE"):
        return _wait_for(operation, found)
    if not _has(found, operation, "flavor"):
        return Failed("The server has its old flavor again.")
    if found.status == "ACTIVE":
        return Done()
    servers.confirm_resize(found.id)
    return not_yet(operation, "the resize is being confirmed")


def revert(operation: Operation, _: str | None) -> Outcome:
    """See the server with the flavor of before, switched on or off.

    From ERROR Nova lets it be stopped only; what it has confirmed is resized once more.
    """
    found = power.server_of(operation)
    if found is None:
        return Failed(power.VANISHED)
    if found.moving or found.status in _AT_IT:
        return _wait_for(operation, found)
    before = _flavor(operation, "before")
    if found.status == "ERROR":
        servers.stop(found.id)
    elif found.status == "VERIFY_RESIZE":
        has_it = _has(found, operation, "before")
        (servers.confirm_resize if has_it else servers.revert_resize)(found.id)
    elif found.status in ("ACTIVE", "SHUTOFF"):
        # The two are one when it was asked for again, for the settings alone.
        if _has(found, operation, "before") or not _has(found, operation, "flavor"):
            return Done()
        servers.resize(found.id, before["id"])
    return _wait_for(operation, found)


def settings_of_before(operation: Operation, token: str | None) -> Outcome:
    """Let the database run for the flavor of before, whether it was stopped or not."""
    return _configure(operation, token, "settings_of_before", "before")


def _configure(operation: Operation, token: str | None, step: str, which: str) -> Outcome:
    size = _flavor(operation, which)
    wanted = StartForFlavor(Flavor(int(size["ram"]), int(size["vcpus"])))
    return ask(operation, token, step, contract.START_DB_WITH_CONF_CHANGES, lambda _: wanted)


def _flavor(operation: Operation, which: str) -> dict[str, Any]:
    """The flavor that was asked for, or the one of before: id, name, ram (MiB), vcpus."""
    return dict((operation.arguments or {})[which])


def _has(found: Server, operation: Operation, which: str) -> bool:
    """Whether a server has that flavor."""
    size = _flavor(operation, which)
    return found.has_flavor(size["id"], size["name"], int(size["ram"]), int(size["vcpus"]))


def _asked(operation: Operation) -> int:
    return int(as_dict(operation.resources).get("resizes_asked", 0))


def _wait_for(operation: Operation, found: Server) -> Outcome:
    return not_yet(operation, f"the server is in {found.status}")


STEPS: Final = {
    "stop_database": stop_database,
    "resize": resize,
    "answers": answers,
    "settings": settings,
    "confirm": confirm,
    "revert": unless_deleted(revert),
    "come_back": unless_deleted(after("revert", power.on)),
    "settings_of_before": unless_lost(after("come_back", settings_of_before)),
}
