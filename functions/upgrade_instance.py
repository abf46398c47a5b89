"""The flow `upgrade_instance`: the engine of another version goes on with the data, or the old one.

    check ─▶ stop_database ─▶ new_generation ─▶ server ─▶ prepare
                    a guest on the new version's image │ its engine does not start
    stop_again ─▶ generation_back ─▶ server_back ─▶ prepare_back ─▶ start_database
                    one more guest, on the image of before

The way back goes through a generation of its own, since the old guest was nobody from
`new_generation` on; before that it is asked to start its database again, and nothing else. It is
open to the end, because within a series an older engine reads what a newer one has written, and a
new guest refuses the data before its engine has touched them when that is of another one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import Upgrade
from chalicelib.cloud import images, servers
from chalicelib.conductor import refusals
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import instances, outcomes
from chalicelib.store.base import as_dict
from chalicelib.store.generations import guest_is_lost
from chalicelib.store.models import Instance, Operation
from chalicelib.store.operations import bound_of
from functions import power, replacing
from functions.asking import ask
from functions.outcomes import Done, Failed, Outcome
from functions.undoing import after, unless_deleted

Run = Callable[[Operation, str | None], Outcome]


def check(operation: Operation, _: str | None) -> Outcome:
    """See that there is a server that Nova rebuilds, and an image for either way."""
    found = replacing.rebuildable(operation)
    if found is None:
        return Failed(power.VANISHED)
    if not isinstance(found, servers.Server):
        return found
    version = _version(operation)
    image_id = _image(version["image"])
    if image_id is None:
        return Failed(f"Version {version['name']} has no usable image.")
    if why_not := replacing.why_unusable(image_id):
        return Failed(why_not)
    instance = instances.get_instance(operation.instance_id)
    back = found.image_id
    if replacing.why_unusable(back):
        back = _image(instance.image)
    if back is None or replacing.why_unusable(back):
        return Failed(
            f"Version {instance.datastore_version} has no usable image any more, so that there "
            "would be no way back to it."
        )
    return Done({"image_id": image_id, "image_back": back, **replacing.flavor_seen(found)})


def stop_database(operation: Operation, _: str | None) -> Outcome:
    """Let the old guest end its database in order: its log may be another engine's to read next."""
    return replacing.stop_database(operation, "stop_database")


def new_generation(operation: Operation, _: str | None) -> Outcome:
    """Make the old guest nobody, and a queue for the new one."""
    return replacing.next_generation(operation, "new_generation")


def server(operation: Operation, _: str | None) -> Outcome:
    """Rebuild the server on the new version's image, and see it ACTIVE."""
    image_id = as_dict(operation.resources)["image_id"]
    instance = _as_upgraded(operation, instances.get_instance(operation.instance_id))
    return replacing.rebuild(operation, instance, image_id, expires_at=float(operation.deadline))


def prepare(operation: Operation, token: str | None) -> Outcome:
    """Ask the new guest to go on with the data, unless none can come."""
    if lost := refusals.verdict(operation):
        return Failed(lost)
    return ask(
        operation, token, "prepare", contract.UPGRADE, lambda each: _arguments(operation, each)
    )


def _arguments(operation: Operation, instance: Instance) -> Upgrade:
    upgraded = _as_upgraded(operation, instance)
    known = replacing.what_to_run(operation, upgraded, upgraded.datastore_version_number)
    return Upgrade(**msgspec.structs.asdict(known))


def stop_again(operation: Operation, _: str | None) -> Outcome:
    """Let the new engine end in order, if it runs."""
    return replacing.stop_database(operation, "stop_again")


def generation_back(operation: Operation, _: str | None) -> Outcome:
    """Make the new guest nobody as well; the reset of the status lets none in after it.

    It is nobody after a reset, too: its engine is of a version that the instance does not tell.
    """
    outcome = replacing.next_generation(operation, "generation_back")
    if instances.get_instance(operation.instance_id).status != Status.UPGRADE:
        return Failed("The status was reset meanwhile.")
    return outcome


def server_back(operation: Operation, _: str | None) -> Outcome:
    """Rebuild the server on the image of before."""
    instance = instances.get_instance(operation.instance_id)
    until = bound_of(operation, "server_back") + settings().rebuild_timeout_seconds
    image_id = as_dict(operation.resources)["image_back"]
    return replacing.rebuild(operation, instance, image_id, expires_at=until)


def prepare_back(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest with the old engine to go on with the data."""
    return ask(
        operation,
        token,
        "prepare_back",
        contract.REBUILD,
        lambda each: replacing.what_to_run(operation, each),
    )


def start_database(operation: Operation, _: str | None) -> Outcome:
    """Have the guest that was never replaced start its database again."""
    if guest_is_lost(operation, instances.get_instance(operation.instance_id)):
        return Failed(replacing.EXPELLED)
    return replacing.start_database(operation, "stop_database", "start_database")


def _if_replaced(step: Run) -> Run:
    """The step, if the old guest is nobody, and nobody has expelled the one after it."""

    def run(operation: Operation, token: str | None) -> Outcome:
        if not _is_replaced(operation):
            return Done()
        if guest_is_lost(operation, instances.get_instance(operation.instance_id)):
            return Failed(replacing.EXPELLED)
        return step(operation, token)

    return unless_deleted(run)


def _unless_replaced(step: Run) -> Run:
    """The step, if the old guest is still the instance's."""
    return lambda operation, token: Done() if _is_replaced(operation) else step(operation, token)


def _is_replaced(operation: Operation) -> bool:
    return "new_generation" in as_dict(operation.resources)


def _version(operation: Operation) -> dict[str, Any]:
    """The version that was asked for: id, name, number, and its image as a row has it."""
    return dict((operation.arguments or {})["version"])


def _image(named: dict[str, Any]) -> str | None:
    """The image that a version names, or the newest with its tags."""
    return named.get("id") or images.newest_with_tags(named.get("tags", []))


def _as_upgraded(operation: Operation, instance: Instance) -> Instance:
    """The instance's row as it is when the upgrade has succeeded; it is not stored."""
    for name, value in outcomes.of_version(_version(operation)).items():
        setattr(instance, name, value)
    return instance


STEPS: Final = {
    "check": check,
    "stop_database": stop_database,
    "new_generation": new_generation,
    "server": server,
    "prepare": prepare,
    "stop_again": _if_replaced(stop_again),
    "generation_back": _if_replaced(after("stop_again", generation_back)),
    "server_back": _if_replaced(after("generation_back", server_back)),
    "prepare_back": _if_replaced(after("server_back", prepare_back)),
    "start_database": unless_deleted(_unless_replaced(start_database)),
}
