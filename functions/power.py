"""The flows that switch a server off and on: `stop_instance`, `start_instance`, `reboot_instance`.

A stopped instance keeps its volume, its address and its hold on the quota; nothing runs. Its agent
starts its database with the server.
"""

from __future__ import annotations

from typing import Final

from chalicelib import lifecycle
from chalicelib.cloud import servers
from chalicelib.service_status import ServiceStatus
from chalicelib.store import instances, last_reports
from chalicelib.store.models import Operation
from functions.asking import ask
from functions.outcomes import Done, Failed, Outcome, not_yet

VANISHED: Final = "The server has vanished."


def stop_database(operation: Operation, token: str | None) -> Outcome:
    """Let the database end in order; it comes back with the server."""
    wanted = {"do_not_start_on_reboot": False}
    return ask(operation, token, "stop_database", "stop_db", lambda _: wanted)


def off(operation: Operation, _: str | None) -> Outcome:
    """Switch the server off and see it SHUTOFF."""
    found = _server(operation)
    if found is None:
        return Failed(VANISHED)
    if found.moving:
        return not_yet(operation, f"the server is in {found.status}")
    if found.status == "SHUTOFF":
        last_reports.forget(operation.instance_id)
        return Done()
    if found.status in ("ACTIVE", "ERROR"):
        servers.stop(found.id)
    return not_yet(operation, f"the server is in {found.status}")


def on(operation: Operation, _: str | None) -> Outcome:
    """Switch the server on and see it ACTIVE."""
    found = _server(operation)
    if found is None:
        return Failed(VANISHED)
    if found.moving:  # ACTIVE too, while it is being switched off
        return not_yet(operation, f"the server is in {found.status}")
    if found.status == "ACTIVE":
        return Done()
    if found.status == "ERROR":
        return Failed(f"The server went to ERROR: {found.fault or 'Nova gave no reason'}")
    if found.status == "SHUTOFF":
        servers.start(found.id)
    return not_yet(operation, f"the server is in {found.status}")


def answers(operation: Operation, _: str | None) -> Outcome:
    """See the guest report a database that answers; what it said before was forgotten."""
    reported = instances.service_status(operation.instance_id)
    if reported is None or reported.status == ServiceStatus.UNKNOWN:
        return not_yet(operation, "the guest agent has not reported yet")
    if reported.status not in lifecycle.READY:
        return not_yet(operation, f"the database is {reported.status}")
    return Done()


def _server(operation: Operation) -> servers.Server | None:
    """The instance's server; a 404 is not believed before the list says the same."""
    instance = instances.get_instance(operation.instance_id)
    server_id = instance.resources["server_id"]
    found = servers.get(server_id)
    if found is not None:
        return found
    return next((each for each in servers.find(instance.id) if each.id == server_id), None)


STEPS: Final = {
    "stop_database": stop_database,
    "power_off": off,
    "power_on": on,
    "answers": answers,
    "cut_power": off,
    "come_back": on,
}
