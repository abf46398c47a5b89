"""The flow `migrate_instance`: the database ends, Nova moves its server, it goes on there.

    look ─▶ stop_database ─▶ migrate ─▶ answers ─▶ settings ─▶ confirm

The steps around Nova's are those of every move (`functions.moves`). `look` keeps the name that Nova
tells of the server's host: by its change a server is seen to have moved, whoever died over the
call.
"""

from __future__ import annotations

from typing import Final

from chalicelib.cloud import servers
from chalicelib.store.base import as_dict
from chalicelib.store.models import Operation
from functions import moves, power
from functions.outcomes import Done, Failed, Outcome, not_yet
from functions.undoing import after, if_begun, unless_deleted, unless_lost


def look(operation: Operation, _: str | None) -> Outcome:
    """See where the server is, and that Nova would move it, while the database still runs."""
    found = power.server_of(operation)
    if found is None:
        return Failed(power.VANISHED)
    if found.moving:
        return not_yet(operation, f"the server is in {found.status}")
    if found.status != "ACTIVE":
        return Failed(f"The server is in {found.status}, where it is not moved.")
    return Done({"host_id": found.host_id})


def settings(operation: Operation, token: str | None) -> Outcome:
    """See the database run for its flavor, where its server is now."""
    return moves.configure(operation, token, (operation.arguments or {})["flavor"])


def _has_moved(operation: Operation, found: servers.Server) -> bool:
    return bool(found.host_id != as_dict(operation.resources).get("host_id"))


MIGRATION: Final = moves.Move(
    "migration",
    ask=lambda operation, found: servers.migrate(found.id, (operation.arguments or {})["host"]),
    is_there=_has_moved,
    is_back=lambda operation, found: not _has_moved(operation, found),
)
"""One that the cloud has confirmed by itself stays where it is: nothing has a better place."""

STEPS: Final = {
    "look": look,
    "stop_database": power.stop_database,
    "migrate": MIGRATION.begin,
    "answers": moves.answers,
    "settings": settings,
    "confirm": MIGRATION.confirm,
    "revert": if_begun("stop_database", unless_deleted(MIGRATION.revert)),
    "come_back": if_begun("stop_database", unless_deleted(after("revert", power.on))),
    "settings_of_before": if_begun("stop_database", unless_lost(after("come_back", settings))),
}
