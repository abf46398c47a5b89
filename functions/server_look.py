"""The look at the server of an operation that waits long for its guest.

    sweeper ──▶ execution of its own ──▶ this: is there a server that can have a guest, and one
                                               that reports?
                                             no: the operation is told why, and the next sweep
                                                 lets the step that waits go on, or back

Without it such a step learns at its bound, which for a backup is a day, that its server was
switched off, broken or deleted meanwhile, or that its guest has lost its disk. The sweeper has no
way to the cloud; who asks for the look, and how often, is there (`chalicelib.taskmanager.sweeper`).
A cloud that does not answer says nothing: the next look comes.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, Final

import msgspec

from chalicelib import aws, crash, tracing
from chalicelib.cloud.errors import CloudError
from chalicelib.cloud.servers import Server
from chalicelib.domain.flows import FLOWS, LOOK
from chalicelib.domain.operations import TERMINAL
from chalicelib.errors import NotFound
from chalicelib.settings import settings
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
            why = _why_alone(power.server_of(operation)) or _why_unheard(operation)
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


def _why_unheard(operation: Operation) -> str | None:
    """Why nothing is expected of a guest that has a server; None of one that reports, or has an
    hour to begin with it."""
    reported = instances.service_status(operation.instance_id)
    if reported is None:
        return None
    silent = aws.clock() - reported.updated
    if silent < max(SILENT_SECONDS, 2 * settings().heartbeat_expiry_seconds):
        return None
    return f"The guest agent has reported nothing for {silent / 60:.0f} minutes."
