"""What guests reported last, as heartbeats read and write it: a few fields, one expression.

Every guest takes this path once a period, so it goes past the models of PynamoDB to its client:
building and reading their expressions is most of what a heartbeat would cost.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError
from pynamodb.expressions.update import Action

from chalicelib import aws
from chalicelib.errors import Unavailable
from chalicelib.outages import OUTAGES, is_outage
from chalicelib.service_status import ServiceStatus
from chalicelib.store import guests
from chalicelib.store.base import ConditionFailed, update_if
from chalicelib.store.models import ServiceStatusRow

log = logging.getLogger(__name__)

LAST_SEQ: Final = 2**40
"""More reports than one life of an agent has: one a millisecond, for thirty years."""
ATTEMPTS: Final = 5
BACKOFF_SECONDS: Final = 0.05

_FIELDS: Final = "instance_id, generation, epoch, seq, #status, updated, volume_used, rejected"
_NAMES: Final = {"#status": "status"}
# Clauses: same generation (a zombie); later than what is stored (reorder, duplicates).
_LATER: Final = "generation = :generation AND (epoch < :epoch OR (epoch = :epoch AND seq < :seq))"


class LastReport(msgspec.Struct, frozen=True):
    """What a row says; `order` is (generation, epoch, seq)."""

    order: tuple[int, int, int]
    status: str
    updated: float
    volume_used: float | None
    rejected: int


class Reported(msgspec.Struct, frozen=True):
    """What a heartbeat says. Sizes in GiB; the engine's metrics as JSON."""

    order: tuple[int, int, int]
    status: str
    rejected: int
    release: int = 0
    version: str = ""
    reason: str = ""
    volume_used: float | None = None
    volume_total: float | None = None
    metrics: str = "{}"


def read(instance_ids: Sequence[str]) -> dict[str, LastReport]:
    """The last reports of these instances, by id; an id without a row is left out.

    Raises `Unavailable` when the table leaves keys unread in all attempts.
    """
    table = ServiceStatusRow.Meta.table_name
    found: dict[str, LastReport] = {}
    asked: Any = {
        table: {
            "Keys": [{"instance_id": {"S": each}} for each in instance_ids],
            "ProjectionExpression": _FIELDS,
            "ExpressionAttributeNames": _NAMES,
        }
    }
    for attempt in range(ATTEMPTS):
        answer = aws.client("dynamodb")._make_api_call("BatchGetItem", {"RequestItems": asked})
        for item in answer["Responses"].get(table, ()):
            found[item["instance_id"]["S"]] = _last_report(item)
        asked = answer.get("UnprocessedKeys")
        if not asked:
            return found
        aws.sleep(BACKOFF_SECONDS * 2**attempt * (0.5 + aws.random()))
    raise Unavailable("The table of reports takes no more reads at the moment.")


def write(instance_id: str, reported: Reported) -> bool:
    """Store a report; False when a later one, or another generation, was stored meanwhile."""
    generation, epoch, seq = reported.order
    sets = "#status = :status, epoch = :epoch, seq = :seq, updated = :now, rejected = :rejected"
    sets += ", status_reason = :reason, agent_release = :release, agent_version = :version"
    sets += ", #metrics = :metrics"
    values = {
        ":generation": {"N": str(generation)},
        ":epoch": {"N": str(epoch)},
        ":seq": {"N": str(seq)},
        ":status": {"S": reported.status},
        ":reason": {"S": reported.reason},
        ":now": {"N": repr(aws.clock())},
        ":rejected": {"N": str(reported.rejected)},
        ":release": {"N": str(reported.release)},
        ":version": {"S": reported.version},
        ":metrics": {"S": reported.metrics},
    }
    for name in ("volume_used", "volume_total"):
        size = getattr(reported, name)
        if size is not None:
            sets += f", {name} = :{name}"
            values[f":{name}"] = {"N": repr(float(size))}
    try:
        aws.client("dynamodb")._make_api_call(
            "UpdateItem",
            {
                "TableName": ServiceStatusRow.Meta.table_name,
                "Key": {"instance_id": {"S": instance_id}},
                "UpdateExpression": f"SET {sets}",
                "ConditionExpression": _LATER,
                "ExpressionAttributeNames": {**_NAMES, "#metrics": "metrics"},
                "ExpressionAttributeValues": values,
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def forget(instance_id: str, generation: int) -> None:
    """Its server is off: what a guest reported is true no more, and its next report is news.

    A report of this life that comes late is none, be it the first: with its server the agent begins
    another epoch. Clause: the generation is the present one, of an instance that is there.
    """
    row, epoch = ServiceStatusRow(instance_id), guests.epoch_of(instance_id, generation)
    present = ServiceStatusRow.generation == generation
    unknown: list[Action] = [
        ServiceStatusRow.status.set(ServiceStatus.UNKNOWN),
        ServiceStatusRow.seq.set(LAST_SEQ),
    ]
    unheard = [*unknown, ServiceStatusRow.epoch.set(epoch)]
    with suppress(ConditionFailed):
        try:
            update_if(row, unheard, present & (ServiceStatusRow.epoch < epoch))
        except ConditionFailed:
            update_if(row, unknown, present)


def count_stale(instance_id: str) -> None:
    """Count a report of an older generation on the row of the present one, best effort.

    Whoever is superseded may send as much as it likes; what it sends is refused all the same.
    """
    counted: list[Action] = [ServiceStatusRow.stale_reports.add(1)]
    try:
        with suppress(ConditionFailed):  # the instance is gone
            update_if(ServiceStatusRow(instance_id), counted, ServiceStatusRow.instance_id.exists())
    except OUTAGES as error:
        if not is_outage(error):
            raise
        log.warning("a stale report of %s was not counted", instance_id)


def _last_report(item: dict[str, Any]) -> LastReport:
    order = tuple(int(item[name]["N"]) for name in ("generation", "epoch", "seq"))
    used = item.get("volume_used")
    return LastReport(
        order=order,  # type: ignore[arg-type]
        status=item["status"]["S"],
        updated=float(item["updated"]["N"]),
        volume_used=float(used["N"]) if used and "N" in used else None,
        rejected=int(item["rejected"]["N"]) if "rejected" in item else 0,
    )
