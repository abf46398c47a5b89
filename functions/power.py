"""The flows that switch a server off and on: `stop_instance`, `start_instance`, `reboot_instance`.

A stopped instance keeps its volume, its address and its hold on the quota; nothing runs. Its agent
starts its database with the server.
"""

from __future__ import annotations

from typing import Any, Final

from chalicelib import aws, lifecycle
from chalicelib.bus import contract
from chalicelib.bus.contract.arguments import StopDatabase
from chalicelib.cloud import servers
from chalicelib.service_status import ServiceStatus
from chalicelib.store import flavors, instances, last_reports
from chalicelib.store.base import as_dict
from chalicelib.store.models import Flavor, Operation
from functions import configuring
from functions.asking import ask
from functions.outcomes import Done, Failed, Outcome, not_yet
from functions.undoing import unless_deleted, unless_lost

VANISHED: Final = (
    "The server has vanished; rebuild the instance (openstack database instance rebuild), which "
    "makes it a new one."
)
ANSWER_SECONDS: Final = 180.0
"""So long a database has, once its server is on. One that recovers for hours, or does not start, is
shown by what its guest reports: to switch it off again would help nobody, and a volume that is full
can only grow below a server that runs."""


def stop_database(operation: Operation, token: str | None) -> Outcome:
    """Let the database end in order; it comes back with the server."""
    return ask(operation, token, "stop_database", contract.STOP_DB, lambda _: StopDatabase())


def off(operation: Operation, _: str | None) -> Outcome:
    """Switch the server off and see it SHUTOFF."""
    found = server_of(operation)
    if found is None:
        return Failed(VANISHED)
    if found.moving:
        return not_yet(operation, f"the server is in {found.status}")
    if found.status == "SHUTOFF":
        last_reports.forget(operation.instance_id, int(operation.generation))
        return Done()
    if found.status in ("ACTIVE", "ERROR"):
        servers.stop(found.id)
    return not_yet(operation, f"the server is in {found.status}")


def on(operation: Operation, _: str | None) -> Outcome:
    """Switch the server on and see it ACTIVE."""
    found = server_of(operation)
    if found is None:
        return Failed(VANISHED)
    if found.moving:  # ACTIVE too, while it is being switched off
        return not_yet(operation, f"the server is in {found.status}")
    if found.status == "ACTIVE":
        known = flavor_of(found)
        return Done({"flavor": size_of(known)} if known else {})
    if found.status == "ERROR":
        return Failed(went_to_error(found))
    if found.status == "SHUTOFF":
        _switch_on(operation, found)
    take_back(operation, found)
    return not_yet(operation, f"the server is in {found.status}")


def _switch_on(operation: Operation, found: servers.Server) -> None:
    """With its volume, which a resize may have left beside it."""
    volume_id = instances.get_instance(operation.instance_id).resources.get("volume_id")
    if volume_id is None or volume_id in found.volumes:
        servers.start(found.id)
    else:
        servers.attach_volume(found.id, volume_id)


def answers(operation: Operation, _: str | None) -> Outcome:
    """See the guest report a database that answers, or another one for long enough.

    What it said before was forgotten.
    """
    reported = instances.service_status(operation.instance_id)
    if reported is None or reported.status == ServiceStatus.UNKNOWN:
        return not_yet(operation, "the guest agent has not reported yet")
    waited = aws.clock() - as_dict(operation.started)[operation.step or ""]
    if reported.status not in lifecycle.READY and waited < ANSWER_SECONDS:
        return not_yet(operation, f"the database is {reported.status}")
    return configuring.bring(operation)


def take_back(operation: Operation, found: servers.Server) -> None:
    """Have a move ended that failed before Nova could do it: the flavor that is told stays."""
    if found.status != "VERIFY_RESIZE":
        return
    known, told = flavor_of(found), instances.get_instance(operation.instance_id).flavor_id
    same = known is not None and known.id == told
    (servers.confirm_resize if same else servers.revert_resize)(found.id)


def went_to_error(found: servers.Server) -> str:
    """Why nothing can be done with a server in ERROR."""
    return f"The server went to ERROR: {found.fault or 'Nova gave no reason'}"


def flavor_of(found: servers.Server) -> Flavor | None:
    """The flavor that a server has, if the mirror knows it."""
    for each in flavors.all_flavors():
        if found.has_flavor(each.id, each.name, int(each.ram), int(each.vcpus)):
            return each
    return None


def size_of(flavor: Flavor) -> dict[str, Any]:
    """What an operation's row tells of a flavor."""
    return {"id": flavor.id, "ram": int(flavor.ram), "vcpus": int(flavor.vcpus)}


def server_of(operation: Operation) -> servers.Server | None:
    """The instance's server, or the one that the operation has made.

    A 404 is not believed before the list says the same.
    """
    instance = instances.get_instance(operation.instance_id)
    made = as_dict(operation.resources).get("server_id")
    server_id = made or instance.resources.get("server_id")
    if server_id is None:
        return None
    found = servers.get(server_id)
    if found is not None:
        return found
    return next((each for each in servers.find(instance.id) if each.id == server_id), None)


STEPS: Final = {
    "stop_database": stop_database,
    "power_off": off,
    "power_on": on,
    "answers": answers,
    "cut_power": unless_deleted(off),
    "come_back": unless_deleted(on),
    "answers_again": unless_lost(answers),
}
