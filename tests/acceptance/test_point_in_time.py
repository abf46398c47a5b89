"""A moment that an instance is made of, on a running stack: below a writer, on the real engines."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any, Final, NamedTuple

import pytest

from tests.acceptance.stack import Stack, eventually
from tests.acceptance.test_backups import (
    PASSWORD,
    USER,
    Connect,
    Writer,
    address_of,
    back_up,
    connect,
    connect_to_postgresql,
    ended,
    rows_of,
)

WITHIN = 240


class Engine(NamedTuple):
    """How its customer reaches it, what tells the time by its own clock and a place in its log, and
    whether its log is kept from a restart on."""

    name: str
    version: str
    connect: Connect
    now: str
    position: str
    restarts: bool


ENGINES: Final = (
    Engine(
        "mariadb",
        "10.11",
        connect,
        "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')",
        "SELECT @@gtid_binlog_pos",
        restarts=True,
    ),
    pytest.param(
        Engine(
            "postgresql",
            "15",
            connect_to_postgresql,
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', "
            """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
            "SELECT pg_current_wal_lsn()::text",
            restarts=False,
        ),
        marks=pytest.mark.crash,
    ),
)


def archive_of(stack: Stack, instance_id: str) -> dict[str, Any]:
    """The newest archive of the instance's log."""
    answer = stack.demo.request("GET", f"/instances/{instance_id}/archives")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["archives"][0]
    return found


def running(stack: Stack, instance_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = archive_of(stack, instance_id)
        return found if found["state"] == "runs" else None

    return eventually(look, WITHIN, "an archive that runs")


def asked(engine: Engine, address: str, what: str) -> str:
    """What its customer is answered."""
    with closing(engine.connect(address)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(what)
        (found,) = cursor.fetchone()
    return str(found)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_a_moment_between_two_rows_is_restored_and_its_position(
    stack: Stack, engine: Engine
) -> None:
    datastore = {"type": engine.name, "version": engine.version}
    user = {"name": USER, "password": PASSWORD, "databases": [{"name": "shop"}]}
    source = stack.demo.created(
        "logged", datastore=datastore, databases=[{"name": "shop"}], users=[user]
    )
    address = address_of(stack, source)
    schedule = {"name": "s", "instance": source, "interval_hours": 24, "point_in_time": True}
    made = stack.demo.request("POST", "/backup_schedules", {"backup_schedule": schedule})
    assert made.status_code == 200, made.text
    if engine.restarts:
        stack.demo.wait(source, "RESTART_REQUIRED")
        restart = stack.demo.request("POST", f"/instances/{source}/action", {"restart": {}})
        assert restart.status_code == 202, restart.text
        stack.demo.healthy(source)
    running(stack, source)

    writer = Writer(address, engine.connect)
    writer.start()
    try:
        base = back_up(stack, source, "base")
        assert ended(stack, base)["status"] == "COMPLETED"
        before = writer.committed
        eventually(lambda: writer.committed > before + 50, WITHIN, "rows behind the base")
    finally:
        writer.over.set()
        writer.join(30)
    count = rows_of(address, engine.connect)
    time.sleep(1.1)  # MariaDB's log has whole seconds
    moment = asked(engine, address, engine.now)
    position = asked(engine, address, engine.position)
    time.sleep(1.1)
    with closing(engine.connect(address)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("DELETE FROM rows_")
    assert rows_of(address, engine.connect) == 0

    eventually(
        lambda: (archive_of(stack, source)["restorable_until"] or "") > moment,
        WITHIN,
        "an archive up to the moment",
    )
    point = {"instance": source, "time": moment}
    refused = stack.demo.create("never", restorePoint={**point, "time": "2001-01-01T00:00:00Z"})
    assert refused.status_code == 400, refused.text
    assert archive_of(stack, source)["restorable_from"] in refused.text
    again = stack.demo.created("at the moment", datastore=datastore, restorePoint=point)
    assert rows_of(address_of(stack, again), engine.connect) == count
    stack.demo.delete(again)
    point = {"instance": source, "position": position}
    refused = stack.demo.create("never", restorePoint={**point, "position": "0"})
    assert refused.status_code == 400, refused.text
    assert "such as" in refused.text
    there = stack.demo.created("at the position", datastore=datastore, restorePoint=point)
    assert rows_of(address_of(stack, there), engine.connect) == count
    for each in (there, source):
        assert stack.demo.delete(each).status_code == 202
        stack.demo.wait(each, "GONE")
    assert archive_of(stack, source)["restorable_until"] > moment
    stack.demo.request("DELETE", f"/backups/{base}")
