"""Operations on instances that a schedule begins: by the rules of a request."""

from __future__ import annotations

import logging

from chalicelib import aws, lifecycle
from chalicelib.bus.ability import require_able, require_heard, require_offered
from chalicelib.bus.contract import METHODS
from chalicelib.domain.flows import Flow
from chalicelib.domain.schedules import ASKER
from chalicelib.errors import Unprocessable
from chalicelib.store.events import Asked
from chalicelib.store.models import BackupSchedule, Instance, Operation
from chalicelib.taskmanager import executions

log = logging.getLogger(__name__)


def require_free(instance: Instance, flow: Flow) -> None:
    """Raises what a request for that flow would be refused with, or would wait for."""
    require_able(instance, [METHODS[name] for name in flow.asks])
    require_offered(instance, [METHODS[name] for name in flow.asks_next])
    lifecycle.require(flow.sources, instance.id, instance.status)
    if instance.operation_id is not None:
        raise Unprocessable(f"Another operation of instance {instance.id} is under way.")
    require_heard(instance)


def asked_by(row: BackupSchedule) -> Asked:
    """Who asks for what a schedule does: itself, with a request of its own each time."""
    return Asked(f"{ASKER}{row.id}", f"req-{aws.new_id()}", row.tenant_id)


def start(operation: Operation) -> None:
    """Start it now, or leave it to the sweeper."""
    try:
        executions.start(operation)
    except executions.Throttled as error:
        log.warning("%s is left to the sweeper: %s", operation.id, error)
