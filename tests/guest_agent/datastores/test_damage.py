"""A database that runs and meets damaged data: what it says of them in its log is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.service_status import ServiceStatus as Status
from guest_agent.datastores.damage import Damage
from guest_agent.datastores.error_log import ErrorLog
from guest_agent.datastores.redis.server import RedisServer
from tests.guest_agent.datastores.conftest import config
from tests.guest_agent.datastores.customer import ENGINES, Guest, Refused, guest_on, server_of

PAGE = {"mariadb": 16_384, "postgresql": 8_192}
ROOT_PAGE = {"mariadb": 3, "postgresql": 0}
"""Of a small table's rows."""


@pytest.fixture(params=ENGINES[:2], ids=lambda engine: engine.manager)
def guest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    with server_of(request.param) as server:
        monkeypatch.setenv("COFFER_SERVER_ID", server.id)
        with guest_on(request.param, server, Guest) as made:
            yield made


def file_of(guest: Guest) -> Path:
    """Where the customer's table is."""
    data = guest.server.volume / "data"
    if guest.engine.manager == "mariadb":
        return data / "shop/written.ibd"
    return data / str(guest.ask("SELECT pg_relation_filepath('written')"))


@pytest.mark.database
def test_a_damaged_table_is_told_and_the_rest_is_served(guest: Guest) -> None:
    name = guest.engine.manager
    guest.write()
    table = file_of(guest)
    guest.manager.call("stop_db", {}, lambda _: None)
    with table.open("r+b") as stream:
        stream.seek(ROOT_PAGE[name] * PAGE[name] + 64)
        stream.write(b"damaged" * 1000)
    guest.manager.call("restart", {}, lambda _: None)
    assert guest.status() is Status.HEALTHY
    with pytest.raises(Refused):
        guest.rows()
    told = guest.manager.condition()
    assert (told.status, told.damaged) == (Status.HEALTHY, True)
    assert told.reason.startswith("the database has found damaged data (")
    assert str(guest.server.root) not in told.reason
    assert guest.ask("SELECT 1") == 1


def test_what_was_found_holds_until_the_next_start(tmp_path: Path) -> None:
    log = ErrorLog(tmp_path / "log", "starting", re.compile("ERROR: "), re.compile("corrupt"))
    damage = Damage()
    assert damage.look(log) == ""
    log.path.write_text("a corrupt page of the life before\nstarting\nready\n")
    assert damage.look(log) == ""
    with log.path.open("a") as stream:
        stream.write("ERROR: page 7 of /var/lib/x is corrupt\n" + "more\n" * 10_000)
    assert damage.look(log) == ""  # the tail has gone on
    log.path.write_text("starting\nERROR: page 7 of /var/lib/x is corrupt\n")
    found = "the database has found damaged data (page 7 of a file is corrupt)"
    assert damage.look(log) == found
    log.path.write_text("starting\n")
    assert damage.look(log) == found
    damage.forget()
    assert damage.look(log) == ""


def test_the_last_line_is_told_of_one_that_says_no_error(tmp_path: Path) -> None:
    log = RedisServer(config(tmp_path, "redis"), "/volume").log
    log.path.parent.mkdir(parents=True)
    log.path.write_text(
        "old\n1:C 1 Jan 2026 00:00:00.000 # oO0 Redis is starting\nfirst\nlast /x\n\n"
    )
    assert log.last_line() == "last a file"
    log.path.write_text("nothing of a start")
    assert log.last_line() == "nothing of a start"
