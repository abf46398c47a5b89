"""prepare on a real MariaDB: what it leaves behind, and that dying in it changes nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pymysql
import pytest

from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.conftest import Guest
from tests.guest_agent.server import ask_prepare, prepare_args

STAGES = [
    "preparing the volume",
    "initialising the data directory",
    "starting the database",
    "securing root",
    "creating databases and users",
]

KILLS = 20
HEALTHY = {"status": "healthy", "holds_configuration": True}

pytestmark = pytest.mark.database


def test_an_empty_server_becomes_a_usable_database(guest: Guest) -> None:
    answer = guest.prepare()
    assert answer.result == HEALTHY
    told = [r.result for r in guest.control.reports() if r.kind == "progress"]
    assert {each["stage"] for each in told if each} <= set(STAGES)
    wait_for(lambda: guest.statuses()[-1:] == ["healthy"])

    with guest.login(database="shop") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (id INT PRIMARY KEY, note TEXT)")
        cursor.execute("INSERT INTO orders VALUES (1, 'grüße 🐘')")
        cursor.execute("SELECT note FROM orders")
        assert cursor.fetchall() == (("grüße 🐘",),)
        cursor.execute("SELECT @@innodb_buffer_pool_size >> 20, @@max_connections")
        assert cursor.fetchall() == ((204, 100),)
        cursor.execute("SELECT @@bind_address, @@port, @@character_set_server")
        assert cursor.fetchall() == ((guest.server.address, 3306, "utf8mb4"),)


def test_nobody_gets_in_who_should_not(guest: Guest) -> None:
    guest.prepare()
    for user in ("root", "", "mysql", "nobody", "os_admin"):
        with pytest.raises(pymysql.MySQLError):
            guest.login(user, "")
    stranger = guest.rows("SHOW DATABASES")
    assert {name for (name,) in stranger} == {"information_schema", "shop"}
    with pytest.raises(pymysql.MySQLError):
        guest.rows("SELECT * FROM mysql.user")


def test_the_database_runs_without_privileges_and_away_from_the_agent(guest: Guest) -> None:
    guest.prepare()
    pid = guest.server.database()
    assert pid is not None
    owner = Path(f"/proc/{pid}").stat().st_uid
    data = guest.server.root / "var/lib/mysql/data"
    assert data.stat().st_uid == owner
    assert data.stat().st_mode & 0o777 == 0o700
    if os.geteuid() == 0:
        assert owner != 0
    assert os.getsid(pid) == pid
    assert data.resolve().is_relative_to(guest.server.volume)
    state = guest.server.root / "var/lib/coffer"
    assert state.stat().st_mode & 0o777 == 0o700
    assert {f.stat().st_mode & 0o777 for f in state.glob("*.p*")} == {0o600}


def killed_in(stage: str, make_guest: Callable[..., Guest]) -> tuple[Guest, str]:
    """A guest whose agent died in that stage, with its command.

    A stage takes a few milliseconds: on a busy machine the kill may come too late. Then nothing was
    shown, and another guest is taken.
    """
    for _ in range(KILLS):
        guest = make_guest()
        command_id = ask_prepare(guest.control)
        guest.server.start_agent()
        _wait_for_stage(guest, stage, command_id)
        guest.server.kill_agent()
        if not guest.control.results(command_id):
            return guest, command_id
        guest.server.kill_everything()
    raise AssertionError(f"{KILLS} kills came too late for {stage}")


def _wait_for_stage(guest: Guest, stage: str, command_id: str) -> None:
    """Until the agent says that it is there, or is past it."""
    wait_for(lambda: f"{stage}." in guest.server.said())
    if stage == "initialising the data directory":
        wait_for(
            lambda: (
                any("--bootstrap" in line for line in guest.server.processes().values())
                or guest.control.results(command_id)
            )
        )


@pytest.mark.parametrize("stage", STAGES)
def test_an_agent_killed_in_any_stage_finishes_when_it_is_back(
    make_guest: Callable[..., Guest], stage: str
) -> None:
    guest, command_id = killed_in(stage, make_guest)
    guest.control.queues["guest"].show_all()
    guest.server.start_agent()
    assert guest.control.answer(command_id).result == HEALTHY
    assert guest.rows("SELECT 1", database="shop") == [(1,)]
    running = [line for line in guest.server.processes().values() if "mariadbd " in line]
    assert len(running) == 1
    assert sorted(p.name for p in guest.server.volume.iterdir()) == ["data", "tmp"]


def test_a_server_that_loses_power_while_it_initialises_starts_over(guest: Guest) -> None:
    command_id = ask_prepare(guest.control)
    guest.server.start_agent()
    unfinished = guest.server.volume / "data.unfinished"
    wait_for(lambda: (unfinished / "ibdata1").exists())
    guest.server.kill_everything()
    assert unfinished.exists()
    guest.control.queues["guest"].show_all()
    guest.server.start_agent()
    assert guest.control.answer(command_id).result == HEALTHY
    assert guest.rows("SELECT 1", database="shop") == [(1,)]
    assert not unfinished.exists()


def test_a_prepared_server_may_be_prepared_again(guest: Guest) -> None:
    guest.prepare()
    guest.rows("CREATE TABLE kept (id INT)", database="shop")
    before = guest.server.database()
    again = prepare_args(users=[{"name": "alice", "password": "second-secret"}])
    assert guest.ask("prepare", again) == HEALTHY
    assert guest.server.database() == before
    assert guest.rows("SHOW TABLES", database="shop", password="second-secret") == [("kept",)]


def lose_the_root_disk(guest: Guest) -> None:
    """Everything but the volume: the database was killed, the agent's secrets are gone."""
    guest.server.kill_everything()
    for name in ("var/lib/coffer/journal.sqlite", "var/lib/coffer/datastore.json"):
        (guest.server.root / name).unlink(missing_ok=True)
    (guest.server.root / "var/lib/mysql").unlink(missing_ok=True)


def ask_rebuild(guest: Guest) -> str:
    """Ask the agent of a new root disk to go on with the data; the command's id."""
    known = prepare_args()
    wanted = {name: known[name] for name in ("datastore", "flavor", "mount_point", "volume_id")}
    command_id = guest.control.send(guest.control.command("rebuild", wanted))
    guest.server.start_agent()
    return command_id


def test_a_rebuilt_server_takes_its_volume_over(guest: Guest) -> None:
    """The root disk is new, and with it every secret of the agent; the data is not."""
    guest.prepare()
    guest.rows("CREATE TABLE kept (id INT)", database="shop")
    guest.rows("INSERT INTO kept VALUES (7)", database="shop")
    guest.ask("enable_root", {"root_password": "root-secret"})
    lose_the_root_disk(guest)
    assert guest.control.answer(ask_rebuild(guest)).result == HEALTHY
    assert guest.rows("SELECT id FROM kept", database="shop") == [(7,)]
    assert guest.ask("is_root_enabled") == {"enabled": True}


def test_a_rebuild_that_finds_no_data_makes_none(guest: Guest) -> None:
    answer = guest.control.answer(ask_rebuild(guest))
    assert answer.error is not None
    assert "no MariaDB data directory, and none is made" in answer.error.message
    assert list(guest.server.volume.iterdir()) == []
    wait_for(lambda: guest.statuses()[-1:] == ["failed"])


def test_an_agent_that_dies_in_a_rebuild_goes_on_with_it(guest: Guest) -> None:
    guest.prepare()
    guest.rows("CREATE TABLE kept (id INT)", database="shop")
    lose_the_root_disk(guest)
    command_id = ask_rebuild(guest)
    wait_for(lambda: (guest.server.root / "etc/mysql/coffer.cnf").exists())
    guest.server.kill_everything()
    guest.control.queues["guest"].show_all()
    guest.server.start_agent()
    assert guest.control.answer(command_id).result == HEALTHY
    assert guest.rows("SHOW TABLES", database="shop") == [("kept",)]


def test_a_root_password_in_the_order_enables_root(guest: Guest) -> None:
    command_id = guest.control.send(
        guest.control.command("prepare", prepare_args(root_password="root-secret"))
    )
    guest.server.start_agent()
    guest.control.answer(command_id)
    assert guest.rows("SELECT CURRENT_USER()", user="root", password="root-secret") == [("root@%",)]
    assert [r.id for r in guest.control.reports() if r.kind == "root"] == [command_id]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root switches to another user")
def test_a_missing_database_user_is_told_and_reported(make_guest: Callable[..., Guest]) -> None:
    guest = make_guest(database_user="nobody-of-that-name")
    command_id = ask_prepare(guest.control)
    guest.server.start_agent()
    error = guest.control.answer(command_id).error
    assert error is not None
    assert "useradd --system" in error.message
    wait_for(lambda: guest.statuses()[-1:] == ["failed"])


def test_a_database_that_cannot_start_says_why(guest: Guest) -> None:
    """Somebody else has the address."""
    with socket.socket() as other:
        other.bind((guest.server.address, 3306))
        other.listen()
        command_id = ask_prepare(guest.control)
        guest.server.start_agent()
        error = guest.control.answer(command_id).error
    assert error is not None
    assert "Address already in use" in error.message
