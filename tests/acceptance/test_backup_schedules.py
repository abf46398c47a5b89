"""A schedule at work on a running stack: real backups come by themselves, and old ones go.

Its time comes by its row, as nobody waits here for an hour: the sweeper finds it in its minute,
afterwards the dispatcher is told at once. Of the slow tier, as it waits for the sweeper's minutes.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from chalicelib.bus.queues import Hint
from infra.local.settings import STACK_NAME
from tests.acceptance.stack import Stack, eventually
from tests.acceptance.test_backups import WITHIN, is_gone, objects

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]
SLOT_AGO_SECONDS = 1000
"""A run of a schedule with one an hour begins a quarter of an hour after its slot, at most."""


def come(stack: Stack, schedule: str, *, told: bool) -> None:
    """Let the time of a schedule come."""
    stack.aws("dynamodb").update_item(
        TableName=f"{STACK_NAME}-backup-schedules",
        Key={"id": {"S": schedule}},
        UpdateExpression="SET next_at = :slot, due_at = :now",
        ConditionExpression="attribute_exists(id)",
        ExpressionAttributeValues={
            ":slot": {"N": str(int(time.time()) - SLOT_AGO_SECONDS)},
            ":now": {"N": str(int(time.time()))},
        },
    )
    if told:
        sqs = stack.aws("sqs")
        queue = sqs.get_queue_url(QueueName=f"{STACK_NAME}-taskmanager")["QueueUrl"]
        hint = msgspec.json.encode(Hint(schedule, schedule=True)).decode()
        sqs.send_message(QueueUrl=queue, MessageBody=hint)


def made(stack: Stack, instance_id: str, number: int) -> list[str]:
    """The complete backups of an instance, newest first, once there are so many."""

    def look() -> list[str] | None:
        answer = stack.demo.request("GET", f"/backups?instance_id={instance_id}")
        listed: list[dict[str, Any]] = answer.json()["backups"]
        listed.sort(key=lambda each: str(each["created"]), reverse=True)
        found = [each["id"] for each in listed if each["status"] == "COMPLETED"]
        return found if len(found) == number else None

    return eventually(look, WITHIN, f"{number} backups of {instance_id}")


def test_a_schedule_makes_backups_and_the_ones_it_does_not_keep_go(stack: Stack) -> None:
    api = stack.demo
    source = api.created("scheduled")
    api.healthy(source)
    asked = {"name": "hourly", "instance": source, "interval_hours": 1, "keep_count": 1}
    answer = api.request("POST", "/backup_schedules", {"backup_schedule": asked})
    assert answer.status_code == 200, answer.text
    path = f"/backup_schedules/{answer.json()['backup_schedule']['id']}"
    schedule = path.rpartition("/")[2]
    come(stack, schedule, told=False)
    (first,) = made(stack, source, 1)
    api.wait(source, "ACTIVE")
    come(stack, schedule, told=True)
    second, _ = made(stack, source, 2)
    shown = api.request("GET", path).json()["backup_schedule"]
    assert (shown["last_backup_id"], shown["reason"]) == (second, None)
    api.wait(source, "ACTIVE")
    come(stack, schedule, told=True)
    is_gone(stack, first)
    assert not [key for key in objects(stack) if first in key]
    assert made(stack, source, 2)[1] == second, "the newest two, until the next look"
    assert api.request("DELETE", path).status_code == 202
    api.wait(source, "ACTIVE")
    assert api.delete(source).status_code == 202
    api.wait(source, "GONE")
    for backup in made(stack, source, 2):
        assert api.request("DELETE", f"/backups/{backup}").status_code == 202
        is_gone(stack, backup)
