"""A migration: what it asks of Nova, and the database that runs again however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from chalicelib.lifecycle import Status
from functions import moves
from functions.migrate_instance import MIGRATION
from simulator.cloud.model.settings import HOSTS
from tests.simulator.served import Served


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    try:
        yield made
    finally:
        made.close()


def migrate(served: Served, host: str | None = None) -> None:
    """Ask as an administrator, and wait for the end."""
    assert served.ask("migrate", {"host": host}, admin=True) == 202
    served.settle()


@pytest.mark.parametrize(("host", "there"), [(None, HOSTS[1]), (HOSTS[3], HOSTS[3])])
def test_the_server_goes_to_another_host_and_the_database_with_it(
    served: Served, host: str | None, there: str
) -> None:
    migrate(served, host)
    assert (served.status, served.fault) == (Status.ACTIVE, "")
    assert (served.server.status, served.server.host) == ("ACTIVE", there)
    assert served.guest.up
    served.holds()


@pytest.mark.parametrize("host", ["nowhere", HOSTS[0]])
def test_a_host_that_nova_refuses_is_told_in_its_words_and_nothing_has_moved(
    served: Served, host: str
) -> None:
    migrate(served, host)
    assert served.status == Status.ACTIVE
    said = "host nowhere could not be found" if host == "nowhere" else "to the host where"
    assert served.fault.startswith("The instance was not migrated: The cloud refused to migrate")
    assert said in served.fault
    assert (served.server.host, served.guest.up) == (HOSTS[0], True)
    served.holds()


def test_a_service_user_who_may_not_migrate_is_told_so(served: Served) -> None:
    functions = served.cloud_functions
    functions.uninstall()
    functions.caller = replace(functions.caller, roles=functions.caller.roles - {"manager"})
    functions.install()
    migrate(served)
    assert "Policy doesn't allow os_compute_api:os-migrate-server:migrate" in served.fault
    assert (served.status, served.guest.up) == (Status.ACTIVE, True)
    served.holds()


@pytest.mark.parametrize(
    ("mode", "times", "said"),
    [
        ("left_as_it_was", moves.MOST_ASKED, MIGRATION.no_host),
        ("error", 1, "The server went to ERROR: Failed to finish the resize."),
        ("unavailable", 99999, "did not begin the migration in time"),
    ],
)
def test_what_nova_does_not_do_leaves_the_database_up_where_it_was(
    served: Served, mode: str, times: int, said: str
) -> None:
    served.spoil("compute", "migrate_server", mode, times=times)
    migrate(served)
    assert said in served.fault
    assert (served.status, served.guest.up) == (Status.ACTIVE, True)
    served.cloud.faults.clear()
    served.holds()


def test_a_call_whose_answer_was_lost_moves_it_once(served: Served) -> None:
    served.spoil("compute", "migrate_server", "timeout_after")
    migrate(served)
    assert (served.status, served.fault, served.server.host) == (Status.ACTIVE, "", HOSTS[1])
    assert [each.action for each in served.server.actions].count("migrate") == 1
    served.holds()


def test_a_server_that_does_not_come_up_there_goes_back(served: Served) -> None:
    assert served.ask("migrate", admin=True) == 202
    served.until("answers")
    served.guest.power_off()
    served.settle()
    assert "did not come back with its server" in served.fault
    assert (served.status, served.server.host) == (Status.ACTIVE, HOSTS[0])
    served.holds()


def test_the_migration_of_somebody_else_is_left_alone(served: Served) -> None:
    """It is seen before the database is stopped."""
    served.cloud.compute.migrate(served.cloud.admin(), served.server.id, None)
    served.run(60)
    migrate(served)
    assert "The server is in VERIFY_RESIZE, where it is not moved." in served.fault
    assert (served.status, served.server.status) == (Status.ACTIVE, "VERIFY_RESIZE")
    assert served.asked("stop_db") == []


def test_one_that_the_cloud_confirms_by_itself_is_there(served: Served) -> None:
    served.cloud.compute._lifecycle.confirm_seconds = 0.5
    migrate(served)
    assert (served.status, served.fault, served.server.host) == (Status.ACTIVE, "", HOSTS[1])
    served.holds()


def test_what_could_not_be_taken_back_is_ended_by_a_start(served: Served) -> None:
    assert served.ask("migrate", admin=True) == 202
    served.until("answers")
    served.spoil("compute", "revert_resize", "unavailable", times=99999)
    served.guest.power_off()
    served.settle()
    assert served.status == Status.ERROR
    assert "Not undone: revert, come_back, settings_of_before. Start the instance." in served.fault
    served.cloud.faults.clear()
    assert served.ask("start") == 202
    served.settle()
    assert served.status in (Status.ACTIVE, Status.STOPPED)
    assert served.server.status in ("ACTIVE", "SHUTOFF")
