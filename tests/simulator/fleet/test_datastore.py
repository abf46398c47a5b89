"""The small database of a fake guest: contents as a value, and the manager's rules on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.bus.contract import arguments, values
from chalicelib.engines.parameter import Scalar
from chalicelib.service_status import ServiceStatus as Status
from guest_agent import errors
from simulator.fleet.datastore import NOTHING, Contents, Database, User, Volume
from simulator.fleet.disk import Disk
from simulator.fleet.engines import USUAL
from simulator.fleet.managers import SimMariaDB

NAMES = st.sampled_from(["a", "b", "c"])
WRITES = st.lists(
    st.one_of(
        st.tuples(st.just("database"), NAMES),
        st.tuples(st.just("row"), NAMES),
        st.tuples(st.just("user"), NAMES),
        st.tuples(st.just("drop"), NAMES),
    ),
    max_size=20,
)


class Machine:
    """A server on which nothing takes time."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.engine = USUAL["mariadb"]
        self.volume: Volume | None = Volume(2)
        self.up = False
        self.stuck = self.closed = self.failed = self.given_up = False
        self.starts = 0
        self.stopped_at = 0.0
        self.passing: Status | None = None
        self.runs_for = self.disk.flavor
        self.runs_with: Mapping[str, Scalar] = {}
        self.stages: list[str] = []

    def here(self, life: int) -> None:
        return None

    def spend(self, seconds: tuple[float, float]) -> None:
        return None


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    yield made
    assert made.passing is None


@pytest.fixture
def manager(machine: Machine) -> SimMariaDB:
    made = SimMariaDB(machine, 1)
    call(
        made,
        "prepare",
        datastore={"manager": "mariadb", "version": "10.11"},
        flavor={"ram": 512, "vcpus": 1},
        device_path="/dev/vdb",
        mount_point="/var/lib/mysql",
        databases=[{"name": "shop"}, {"name": "blog"}],
        users=[{"name": "alice", "password": "x", "databases": [{"name": "shop"}]}],
    )
    return made


def call(manager: SimMariaDB, method: str, **args: Any) -> dict[str, Any]:
    return manager.call(method, args, lambda stage: None)


@given(WRITES, WRITES)
def test_a_snapshot_holds_what_was_there_whatever_is_written_after_it(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    volume = Volume(1)
    for write in before:
        volume.contents = _written(volume.contents, *write)
    snapshot = volume.snapshot()
    shown = repr(snapshot)
    for write in after:
        volume.contents = _written(volume.contents, *write)
    assert repr(snapshot) == shown
    assert volume.contents.log_position == snapshot.log_position + len(after)
    restored = Volume(1)
    restored.restore(snapshot)
    assert restored.contents.same_as(snapshot)
    assert restored.contents.same_as(volume.contents) or after


def _written(contents: Contents, what: str, name: str) -> Contents:
    number = str(contents.log_position)
    if what == "user":
        return contents.with_user((name, "%"), User(number))
    if what == "drop":
        return contents.without_database(name)
    if what == "row" and name in contents.databases:
        return contents.with_row(name, number, number)
    return contents.with_database(name, Database())


def test_contents_differ_by_a_single_row() -> None:
    one = NOTHING.with_database("a", Database()).with_row("a", "1", "x")
    assert not one.same_as(one.with_row("a", "2", "y"))
    assert not one.same_as(one.with_row("a", "1", "y"))
    assert one.same_as(one.with_row("a", "1", "x"))


def test_prepare_is_repeatable_and_brings_up_what_was_ordered(
    machine: Machine, manager: SimMariaDB
) -> None:
    assert manager.condition().status is Status.HEALTHY
    assert manager.filesystem() == {"used": 0.2, "total": 2.0}
    listed = call(manager, "list_databases")
    assert [each["name"] for each in listed["databases"]] == ["blog", "shop"]
    assert machine.volume is not None
    before = machine.volume.snapshot()
    machine.disk.prepared = False
    manager.prepare(
        arguments.Prepare(
            datastore=arguments.Datastore("mariadb", "10.11"),
            flavor=arguments.Flavor(512, 1),
            mount_point="/var/lib/mysql",
            databases=[values.Database("shop")],
        ),
        machine.stages.append,
    )
    assert machine.stages[0] == "preparing the volume"
    assert machine.volume.snapshot().same_as(before)


def test_lists_come_in_pages(manager: SimMariaDB) -> None:
    first = call(manager, "list_databases", limit=1)
    assert ([d["name"] for d in first["databases"]], first["next_marker"]) == (["blog"], "blog")
    second = call(manager, "list_databases", limit=1, marker="blog")
    assert ([d["name"] for d in second["databases"]], second["next_marker"]) == (["shop"], None)
    again = call(manager, "list_databases", marker="shop", include_marker=True)
    assert [d["name"] for d in again["databases"]] == ["shop"]


def test_users_are_made_changed_and_removed(manager: SimMariaDB) -> None:
    call(manager, "create_user", users=[{"name": "bob", "password": "y", "host": "H"}])
    call(manager, "grant_access", username="bob", hostname="h", databases=["blog"])
    call(manager, "update_attributes", username="bob", hostname="h", user_attrs={"name": "rob"})
    assert call(manager, "get_user", username="rob", hostname="h")["user"] == {
        "name": "rob",
        "host": "h",
        "databases": [{"name": "blog"}],
    }
    call(manager, "change_passwords", users=[{"name": "rob", "host": "h", "password": "z"}])
    call(manager, "revoke_access", username="rob", hostname="h", database="blog")
    assert call(manager, "list_access", username="rob", hostname="h") == {"databases": []}
    call(manager, "delete_user", user={"name": "rob", "host": "h"})
    listed = call(manager, "list_users")["users"]
    assert [each["name"] for each in listed] == ["alice"]


@pytest.mark.parametrize(
    ("method", "args", "error"),
    [
        ("create_database", {"databases": [{"name": "shop"}]}, errors.DatabaseAlreadyExists),
        ("create_database", {"databases": [{"name": "mysql"}]}, errors.BadRequest),
        ("delete_database", {"database": {"name": "none"}}, errors.DatabaseNotFound),
        ("create_user", {"users": [{"name": "alice", "password": "p"}]}, errors.UserAlreadyExists),
        ("create_user", {"users": [{"name": "root", "password": "p"}]}, errors.BadRequest),
        ("delete_user", {"user": {"name": "none"}}, errors.UserNotFound),
        ("get_user", {"username": "none"}, errors.UserNotFound),
        ("grant_access", {"username": "alice", "databases": ["none"]}, errors.DatabaseNotFound),
        ("revoke_access", {"username": "alice", "database": "blog"}, errors.DatabaseNotFound),
    ],
)
def test_a_refusal_writes_nothing(
    machine: Machine,
    manager: SimMariaDB,
    method: str,
    args: dict[str, Any],
    error: type[errors.CommandFailed],
) -> None:
    assert machine.volume is not None
    before = machine.volume.snapshot()
    with pytest.raises(error):
        call(manager, method, **args)
    assert machine.volume.snapshot() == before


def test_root_is_opened_and_closed(manager: SimMariaDB) -> None:
    assert call(manager, "is_root_enabled") == {"enabled": False}
    call(manager, "enable_root", root_password="r")
    assert call(manager, "is_root_enabled") == {"enabled": True}
    call(manager, "disable_root")
    assert call(manager, "is_root_enabled") == {"enabled": False}


def test_a_stopped_database_stays_stopped_until_it_is_restarted(
    machine: Machine, manager: SimMariaDB
) -> None:
    call(manager, "stop_db", do_not_start_on_reboot=True)
    assert manager.condition().status is Status.SHUTDOWN
    assert "stay so" in manager.start_up()
    with pytest.raises(errors.Unavailable, match="does not answer"):
        call(manager, "list_databases")
    call(manager, "restart")
    assert manager.condition().status is Status.HEALTHY
    machine.up = False
    assert manager.condition().status is Status.CRASHED
    assert manager.start_up() == "The database was started."


def test_a_full_disk_refuses_writes_and_not_reads(machine: Machine, manager: SimMariaDB) -> None:
    machine.disk.full = True
    with pytest.raises(OSError, match="No space left"):
        call(manager, "create_database", databases=[{"name": "new"}])
    assert len(call(manager, "list_databases")["databases"]) == 2


def test_no_password_is_in_a_repr() -> None:
    assert "secret" not in repr(User("secret", frozenset({"shop"})))
