"""Schedules in the simulator: guests are backed up day after day, and what is kept is whole."""

from __future__ import annotations

from typing import Any

from simulator.template import PREFIX
from tests.simulator.backing_up import Backups

SLOW = {"COFFER_HEARTBEAT_SECONDS": "600", "COFFER_HEARTBEAT_EXPIRY_SECONDS": "1800"}
"""A guest of which nobody wants to know how it is each minute."""


def left(stack: Backups) -> list[dict[str, Any]]:
    rows = stack.region.dynamodb.rows(f"{PREFIX}-backups")
    return [row for row in rows if row["status"] != "DELETED"]


def keep(stack: Backups, hours: float, **schedule: Any) -> str:
    """An instance that is backed up by a schedule for so long, a row committed between two."""
    instance_id = stack.begin()
    asked = {"name": "s", "instance": instance_id, **schedule}
    assert stack.ask("POST", "/backup_schedules", {"backup_schedule": asked}).status == 200
    for hour in range(int(hours)):
        stack.write(instance_id, f"row {hour}")
        stack.run(3600.0)
    stack.settle()
    return instance_id


def check(stack: Backups, instance_id: str, rows: list[dict[str, Any]]) -> None:
    """Each that is listed has its chain, each object one that is listed, and each is restored."""
    listed = stack.ask("GET", "/backups?limit=1000").document["backups"]
    assert {row["id"] for row in rows} >= {each["id"] for each in listed}
    known = {row["id"]: row for row in rows}
    for row in rows:
        assert row["status"] == "COMPLETED"
    assert {key.split("/")[2] for key in stack.keys} == set(known), "nothing else is stored"
    newest = max(rows, key=lambda row: float(row["created"]))
    again = stack.restore(str(newest["id"]))
    here, there = stack.held(instance_id), stack.held(again)
    assert there.databases.keys() == here.databases.keys()
    stack.invariants.check_healed()
    assert not stack.explain(), stack.explain()


def test_an_instance_is_backed_up_each_hour_and_old_chains_go() -> None:
    stack = Backups(options=SLOW)
    try:
        instance_id = keep(stack, 8, interval_hours=1, full_every=2, keep_count=2)
        rows = left(stack)
        assert 2 <= len(rows) <= 4
        check(stack, instance_id, rows)
    finally:
        stack.close()
