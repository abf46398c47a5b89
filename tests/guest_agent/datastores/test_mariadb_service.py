"""A real MariaDB over its life: agents and servers restart, processes crash, messages repeat."""

from __future__ import annotations

import os
import signal

import pytest

from guest_agent.datastores import session
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.conftest import Guest
from tests.guest_agent.server import suspend

pytestmark = pytest.mark.database


def last_status(guest: Guest, wanted: str) -> bool:
    return guest.statuses()[-1:] == [wanted]


def test_a_new_agent_adopts_the_running_database(guest: Guest) -> None:
    guest.prepare()
    before = guest.server.database()
    guest.server.kill_agent()
    beats = len(guest.statuses())
    guest.server.start_agent()
    wait_for(lambda: "healthy" in guest.statuses()[beats:])
    assert guest.server.database() == before
    assert guest.control.calls == ["enrol", "renew+start"]
    assert guest.control.reports("heartbeats")[-1].epoch == 2
    assert guest.ask("restart") == {}
    assert guest.server.database() != before
    assert guest.rows("SELECT 1") == [(1,)]


def test_a_crash_is_told_within_seconds_and_the_agent_starts_it_again(guest: Guest) -> None:
    guest.prepare()
    wait_for(lambda: last_status(guest, "healthy"))
    pid = guest.server.database()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "crashed" in guest.statuses())
    wait_for(lambda: last_status(guest, "healthy"))
    assert guest.rows("SELECT 1") == [(1,)]
    assert guest.server.database() != pid
    wait_for(lambda: len(guest.events()) == 2)
    assert guest.events() == [
        ("crashed", "the database was ended by SIGKILL"),
        ("healthy", "the database answers again"),
    ]


def test_a_dead_database_is_nobodys_fault_who_asks(guest: Guest) -> None:
    guest.prepare()
    guest.ask("stop_db")
    code, message = guest.refusal("list_users")
    assert (code, message) == ("Unavailable", "the database does not answer")
    assert guest.events() == []


def test_a_hanging_database_is_told_and_calls_end_in_time(guest: Guest) -> None:
    guest.prepare()
    wait_for(lambda: last_status(guest, "healthy"))
    pid = guest.server.database()
    assert pid is not None
    suspend(pid)
    try:
        answer = guest.control.ask("list_users", seconds=session.GREETING_SECONDS + 3)
        assert answer.error is not None
        assert (answer.error.code, answer.error.message) == (
            "Unavailable",
            "the database does not answer",
        )
        wait_for(lambda: last_status(guest, "blocked"))
        assert (guest.control.reports("heartbeats")[-1].result or {})["reason"] == (
            "the database runs and does not answer"
        )
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: last_status(guest, "healthy"))
    assert guest.server.database() == pid, "what hangs is not restarted by itself"


def test_a_starting_database_is_not_ready(guest: Guest) -> None:
    guest.prepare()
    wait_for(lambda: last_status(guest, "healthy"))
    pid = guest.server.database()
    assert pid is not None
    suspend(pid)  # it cannot stop now
    restart = guest.control.send(guest.control.command("restart"))
    wait_for(lambda: last_status(guest, "restarting"))
    os.kill(pid, signal.SIGCONT)
    assert guest.control.answer(restart).error is None
    wait_for(lambda: last_status(guest, "healthy"))


def test_a_damaged_database_is_given_up_and_says_why(guest: Guest) -> None:
    guest.prepare()
    wait_for(lambda: last_status(guest, "healthy"))
    pid = guest.server.database()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    (guest.server.volume / "data/ibdata1").write_bytes(b"damaged")
    wait_for(lambda: len([kind for kind, _ in guest.events() if kind == "crashed"]) >= 2)
    kind, text = guest.events()[-1]
    assert kind == "crashed"
    assert "exit code 1" in text
    assert "ibdata1" in text or "size" in text
    assert str(guest.server.root) not in text


def test_after_a_power_cut_the_database_comes_back_with_the_server(guest: Guest) -> None:
    guest.prepare()
    guest.rows("CREATE TABLE kept (id INT)", database="shop")
    guest.server.kill_everything()
    beats = len(guest.statuses())
    guest.server.start_agent()
    wait_for(lambda: "healthy" in guest.statuses()[beats:])
    assert "crashed" not in guest.statuses()[beats:], "starting is not crashed"
    assert guest.rows("SHOW TABLES", database="shop") == [("kept",)]


def test_a_stopped_database_stays_stopped_until_it_is_restarted(guest: Guest) -> None:
    guest.prepare()
    guest.ask("stop_db", {"do_not_start_on_reboot": True})
    wait_for(lambda: last_status(guest, "shutdown"))
    assert guest.server.database() is None
    guest.server.kill_agent()
    beats = len(guest.statuses())
    guest.server.start_agent()
    wait_for(lambda: "shutdown" in guest.statuses()[beats:])
    assert guest.server.database() is None
    guest.ask("restart")
    assert guest.rows("SELECT 1") == [(1,)]


def test_the_same_message_three_times_is_one_effect(guest: Guest) -> None:
    guest.prepare()
    command = guest.control.command("create_database", {"databases": [{"name": "once"}]})
    for _ in range(3):
        guest.control.send(command)
    wait_for(lambda: len(guest.control.results(command.id)) == 3)
    assert {str(r.error) for r in guest.control.results(command.id)} == {"None"}
    wait_for(lambda: not guest.control.queues["guest"].messages)


def test_reads_are_answered_while_the_database_restarts(guest: Guest) -> None:
    guest.prepare()
    pid = guest.server.database()
    assert pid is not None
    suspend(pid)  # it cannot stop now
    restart = guest.control.send(guest.control.command("restart"))
    wait_for(lambda: "restart" in guest.server.log.read_text())
    read = guest.control.send(guest.control.command("list_databases"))
    refused = guest.control.answer(read).error
    assert refused is not None
    assert refused.code == "Unavailable"
    assert not guest.control.results(restart)
    os.kill(pid, signal.SIGCONT)
    assert guest.control.answer(restart).error is None


def test_messages_nobody_can_trust_are_counted_and_gone(guest: Guest) -> None:
    guest.prepare()
    guest.control.send(guest.control.command("stop_db"), key=bytes(32))
    guest.control.queues["guest"].send("noise")
    wait_for(lambda: not guest.control.queues["guest"].messages)
    assert guest.ask("is_root_enabled") == {"enabled": False}
    assert "Rejected a message" in guest.server.log.read_text()


def test_a_retired_guest_leaves_the_database_alone(guest: Guest) -> None:
    guest.prepare()
    guest.server.kill_agent()
    guest.control.refusals = [410, 410]
    guest.server.start_agent()
    wait_for(lambda: "No more commands are taken" in guest.server.log.read_text())
    assert guest.rows("SELECT 1") == [(1,)]
