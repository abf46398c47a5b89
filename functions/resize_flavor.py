"""The flow `resize_flavor`: the database ends, Nova resizes its server, it goes on for the new.

The steps around Nova's are those of every move (`functions.moves`). Where the cloud confirms by
itself, the way back is another resize. In between the database comes up configured for the smaller
of the two flavors, which fits both.
"""

from __future__ import annotations

from typing import Any, Final

from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import Flavor, StopDatabase
from chalicelib.cloud import servers
from chalicelib.cloud.servers import Server
from chalicelib.store.models import Operation
from functions import moves, power
from functions.asking import ask
from functions.outcomes import Outcome
from functions.undoing import after, unless_deleted, unless_lost


def stop_database(operation: Operation, token: str | None) -> Outcome:
    """Let the database end in order; it comes back with the server."""
    sizes = _flavor(operation, "flavor"), _flavor(operation, "before")
    smaller = Flavor(*(min(int(size[name]) for size in sizes) for name in ("ram", "vcpus")))
    wanted = StopDatabase(flavor=smaller)
    return ask(operation, token, "stop_database", contract.STOP_DB, lambda _: wanted)


def settings(operation: Operation, token: str | None) -> Outcome:
    """Let the database run for the new flavor; its agent reads back that it does."""
    return moves.configure(operation, token, _flavor(operation, "flavor"))


def settings_of_before(operation: Operation, token: str | None) -> Outcome:
    """Let the database run for the flavor of before, whether it was stopped or not."""
    return moves.configure(operation, token, _flavor(operation, "before"))


def _flavor(operation: Operation, which: str) -> dict[str, Any]:
    """The flavor that was asked for, or the one of before: id, name, ram (MiB), vcpus."""
    return dict((operation.arguments or {})[which])


def _has(found: Server, operation: Operation, which: str) -> bool:
    """Whether a server has that flavor."""
    size = _flavor(operation, which)
    return found.has_flavor(size["id"], size["name"], int(size["ram"]), int(size["vcpus"]))


RESIZE: Final = moves.Move(
    "resize",
    ask=lambda operation, found: servers.resize(found.id, _flavor(operation, "flavor")["id"]),
    is_there=lambda operation, found: _has(found, operation, "flavor"),
    is_back=lambda operation, found: _has(found, operation, "before"),
    ask_back=lambda operation, found: servers.resize(found.id, _flavor(operation, "before")["id"]),
)

STEPS: Final = {
    "stop_database": stop_database,
    "resize": RESIZE.begin,
    "answers": moves.answers,
    "settings": settings,
    "confirm": RESIZE.confirm,
    "revert": unless_deleted(RESIZE.revert),
    "come_back": unless_deleted(after("revert", power.on)),
    "settings_of_before": unless_lost(after("come_back", settings_of_before)),
}
