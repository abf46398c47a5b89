"""The look at the server of an operation that waits long for its guest.

    sweeper ──▶ execution of its own ──▶ this: is there a server that can have a guest, and one
                                               that reports?
                                             no: the operation is told why, and the next sweep
                                                 lets the step that waits go on, or back

Without it such a step learns at its bound, which for a backup is a day, that its server was
switched off, broken or deleted meanwhile, that its guest has lost its disk, or that what it was
asked for, or its answer, got lost on the way. The sweeper has no
way to the cloud; who asks for the look, and how often, is there (`chalicelib.taskmanager.sweeper`).
A cloud that does not answer says nothing: the next look comes.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, Final

import msgspec

from chalicelib import aws, crash, tracing
from chalicelib.bus.contract import METHODS
from chalicelib.cloud.errors import CloudError
from chalicelib.cloud.servers import Server
from chalicelib.domain.flows import FLOWS, LOOK
from chalicelib.domain.operations import TERMINAL, command_id
from chalicelib.errors import NotFound
from chalicelib.settings import settings
from chalicelib.store import commands as rows
from chalicelib.store import instances, operations, spans
from chalicelib.store.base import ConditionFailed, as_dict
from chalicelib.store.models import Operation
from functions import power

SILENT_SECONDS: Final = 3600.0
"""A guest that has reported nothing for so long is at nothing; an outage of the reports' way that
lasts longer ends what its guests are at for long."""

log = logging.getLogger(__name__)


class Asked(msgspec.Struct, frozen=True):
    """The payload: ids only."""

    operation_id: str


def run(event: dict[str, Any]) -> dict[str, Any]:
    """Look once; answers why nobody can answer the step that waits, if so."""
    operation = operations.get_operation(msgspec.convert(event, Asked).operation_id)
    if operation is None or operation.status in TERMINAL or operation.step is None:
        return {}
    step = operation.step
    if not FLOWS[operation.action].waits_for_guest(step) or step in as_dict(operation.ended):
        return {}
    place, told = spans.place_of(operation), spans.told_of(operation)
    with tracing.span(log, "step", place, step=LOOK, **told), crash.scope(LOOK):
        try:
            why = _why_alone(power.server_of(operation)) or _why_unheard(operation, step)
        except NotFound:
            return {}  # of the tables one was restored to an earlier moment
        except CloudError as error:
            log.warning("the server of %s could not be looked at: %s", operation.id, error)
            return {}
        if why is not None:
            log.warning("%s waits for no server: %s", operation.id, why)
            with suppress(ConditionFailed):  # it has gone on meanwhile
                operations.note_alone(operation, step, why)
    return {"alone": why} if why else {}


def _why_alone(server: Server | None) -> str | None:
    """Why a server has no guest that could answer; None for one that has, or may have soon."""
    if server is None:
        return power.VANISHED
    if server.moving:
        return None
    if server.status == "ERROR":
        return power.went_to_error(server)
    if server.status == "SHUTOFF":
        return "The server was switched off."
    return None


def _why_unheard(operation: Operation, step: str) -> str | None:
    """Why nothing is expected of a guest that has a server; None of one that reports and is at what
    it was asked for, or has an hour to begin with it."""
    reported = instances.service_status(operation.instance_id)
    if reported is None:
        return None
    if silent := _silent_since(reported.updated):
        return f"The guest agent has reported nothing for {silent / 60:.0f} minutes."
    asked = rows.find(command_id(operation.id, step))
    if asked is None or asked.answered is not None or not METHODS[asked.method].reports:
        return None
    since = asked.created if asked.stage is None else asked.again
    if since is not None and (silent := _silent_since(since)):
        return (
            f"The guest agent reports, and has told nothing of '{asked.method}' for "
            f"{silent / 60:.0f} minutes: the command, or its answer, is lost."
        )
    return None


def _silent_since(heard: float) -> float:
    """For how many seconds nothing was heard, if that is too long; else 0."""
    silent = aws.clock() - float(heard)
    return silent if silent >= max(SILENT_SECONDS, 2 * settings().heartbeat_expiry_seconds) else 0.0
