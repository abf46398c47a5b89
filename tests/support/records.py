"""Events of Lambda for the handlers of queues, and what the bus has counted."""

from __future__ import annotations

from typing import Any

from chalicelib.store.models import EventRow
from tests.support.bare import World


def event_of(*bodies: str) -> dict[str, Any]:
    """A batch of messages; their ids are their places, from 0."""
    return {
        "Records": [
            {"messageId": str(place), "body": body, "messageAttributes": {}}
            for place, body in enumerate(bodies)
        ]
    }


def failed_of(answer: dict[str, list[dict[str, str]]]) -> list[int]:
    """The places of the messages that are to come again."""
    return [int(each["itemIdentifier"]) for each in answer["batchItemFailures"]]


def counted(world: World) -> dict[str, int]:
    """What the bus refused, by the last sentence of each reason."""
    found: dict[str, int] = {}
    for row in world.dynamodb.rows(EventRow.Meta.table_name):
        if "times" in row:
            found[row["message"]] = found.get(row["message"], 0) + int(row["times"])
    return found
