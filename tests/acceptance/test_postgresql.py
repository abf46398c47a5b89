"""A PostgreSQL of a tenant, by unmodified clients: `openstack database …` and psql."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from tests.acceptance.groups import GROUP, applied, change, delete_group, new_group
from tests.acceptance.operating import offer
from tests.acceptance.stack import Stack, eventually
from tests.acceptance.test_clients import run

WITHIN = 120
REFUSED = 2
"""What psql exits with when it is not let in."""
OWN = "a password of one's own"
ROWS = "1\n2\n3\n"
HELD = "61\n9MB\n"
DATABASE = ("database", "db")
USER = ("database", "user")


class Psql:
    """The client of PostgreSQL itself, as somebody."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __call__(
        self, user: str, password: str, database: str, statement: str
    ) -> subprocess.CompletedProcess[str]:
        where = f"host={self.address} user={user} dbname={database} connect_timeout=5"
        return subprocess.run(
            ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", where, "-c", statement],
            env={"PATH": os.environ["PATH"], "PGPASSWORD": password},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def amy(self, statement: str) -> str:
        """What its user amy reads."""
        return self("amy", "secret-of-amy", "first", statement).stdout

    def rows(self) -> bool:
        """Whether she reads all that she wrote."""
        return self.amy("SELECT id FROM orders") == ROWS


@pytest.fixture(scope="module")
def instance(stack: Stack) -> Iterator[str]:
    run(
        stack, "database", "instance", "create", "elephant", "--flavor", "1", "--size", "1",
        "--datastore", "postgresql", "--datastore-version", "15",
        "--databases", "first", "--users", "amy:secret-of-amy",
    )  # fmt: skip
    listed = run(stack, "database", "instance", "list")
    (instance_id,) = (each["ID"] for each in listed if each["Name"] == "elephant")
    yield str(instance_id)
    run(stack, "database", "instance", "delete", instance_id)
    stack.demo.wait(instance_id, "GONE")
    stack.assert_owns_nothing(stack.demo, instance_id)


@pytest.fixture(scope="module")
def psql(stack: Stack, instance: str) -> Psql:
    made = Psql(stack.demo.healthy(instance)["addresses"][0]["address"])
    done = made(
        "amy",
        "secret-of-amy",
        "first",
        "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1), (2), (3)",
    )
    assert done.returncode == 0, done.stderr
    return made


def test_a_user_does_what_was_granted_and_nothing_else(
    stack: Stack, instance: str, psql: Psql
) -> None:
    run(stack, *DATABASE, "create", instance, "second")
    run(stack, *USER, "create", instance, "bob", "secret-of-bob", "--databases", "second")
    assert {each["Name"] for each in run(stack, *USER, "list", instance)} == {"amy", "bob"}
    assert psql("bob", "secret-of-bob", "second", "CREATE TABLE his (id int)").returncode == 0
    assert psql("bob", "secret-of-bob", "first", "SELECT 1").returncode == REFUSED
    run(stack, *USER, "grant", "access", instance, "bob", "first")
    assert psql("bob", "secret-of-bob", "first", "INSERT INTO orders VALUES (4)").returncode == 0
    assert psql("bob", "secret-of-bob", "first", "DELETE FROM orders WHERE id=4").returncode == 0
    run(stack, *USER, "revoke", "access", instance, "bob", "first")
    assert psql("bob", "secret-of-bob", "first", "SELECT 1").returncode == REFUSED
    run(stack, *USER, "delete", instance, "bob")
    run(stack, *DATABASE, "delete", instance, "second")
    assert {each["Name"] for each in run(stack, *DATABASE, "list", instance)} == {"first"}


def test_a_changed_user_keeps_what_it_has(stack: Stack, instance: str, psql: Psql) -> None:
    """Another name and another password, and a database of another encoding and order."""
    fourth = {"name": "fourth"}
    eve = {"name": "eve", "password": "secret-of-eve", "databases": [fourth]}
    for path, body in (
        ("databases", {"databases": [{**fourth, "character_set": "LATIN1", "collate": "C"}]}),
        ("users", {"users": [eve]}),
    ):
        made = stack.demo.request("POST", f"/instances/{instance}/{path}", body)
        assert made.status_code == 202, made.text
    shown = psql("eve", "secret-of-eve", "fourth", "SHOW server_encoding; CREATE TABLE t (id int)")
    assert shown.stdout == "LATIN1\n"
    changed = ("--new_name", "eva", "--new_password", "secret-of-eva")
    run(stack, *USER, "update", "attributes", instance, "eve", *changed)
    assert psql("eve", "secret-of-eve", "fourth", "SELECT 1").returncode == REFUSED
    assert psql("eva", "secret-of-eve", "fourth", "SELECT 1").returncode == REFUSED
    assert psql("eva", "secret-of-eva", "fourth", "DROP TABLE t").returncode == 0
    access = run(stack, *USER, "show", "access", instance, "eva")
    assert [each["Name"] for each in access] == ["fourth"]
    for path in ("users/eva", "databases/fourth"):
        assert stack.demo.request("DELETE", f"/instances/{instance}/{path}").status_code == 202


def test_root_is_let_in_and_put_out(stack: Stack, instance: str, psql: Psql) -> None:
    root = stack.demo.request("POST", f"/instances/{instance}/root").json()["user"]
    assert root["name"] == "root"
    assert psql("root", root["password"], "first", "CREATE DATABASE third").returncode == 0
    own = {"password": OWN}
    assert stack.demo.request("POST", f"/instances/{instance}/root", own).status_code == 200
    assert psql("root", root["password"], "first", "SELECT 1").returncode == REFUSED
    assert psql("root", OWN, "first", "SELECT 1").returncode == 0
    run(stack, "database", "root", "disable", instance)
    assert psql("root", OWN, "first", "SELECT 1").returncode == REFUSED
    run(stack, *DATABASE, "delete", instance, "third")


def test_rows_and_values_outlive_what_is_done_to_an_instance(
    stack: Stack, instance: str, psql: Psql
) -> None:
    words = ("database", "instance")
    group = new_group(stack, "postgresql", "15", work_mem=8192, max_connections=61)
    run(stack, *GROUP, "attach", instance, group)
    eventually(lambda: psql.amy("SHOW work_mem") == "8MB\n", WITHIN, "a live value is held")
    change(stack, group, work_mem=9216)
    eventually(lambda: psql.amy("SHOW work_mem") == "9MB\n", WITHIN, "its change is held")
    stack.demo.wait(instance, "RESTART_REQUIRED", within=WITHIN)
    assert psql.amy("SHOW max_connections") != "61\n"
    applied(stack, group)
    run(stack, *words, "restart", instance)
    stack.demo.healthy(instance)
    assert psql.rows()
    assert psql.amy("SHOW max_connections; SHOW work_mem") == HELD
    run(stack, *words, "resize", "volume", instance, "2")
    stack.demo.wait(instance, "ACTIVE")
    run(stack, *words, "resize", "flavor", instance, "4")
    stack.demo.healthy(instance)
    assert psql.rows()
    run(stack, *words, "rebuild", instance, stack.image_id(), user="admin")
    stack.demo.healthy(instance)
    eventually(psql.rows, WITHIN, "the rows are there after a rebuild")
    assert psql.amy("SHOW max_connections; SHOW work_mem") == HELD
    run(stack, *GROUP, "detach", instance)
    eventually(lambda: psql.amy("SHOW work_mem") == "2MB\n", WITHIN, "the template's is back")
    delete_group(stack, group)
    offer(stack, "of a minor", "15", datastore="postgresql")
    run(stack, *words, "upgrade", instance, "of a minor")
    stack.demo.healthy(instance)
    eventually(psql.rows, WITHIN, "the rows are there after an upgrade")
    assert psql.amy("SHOW max_connections") != "61\n"
    assert (stack.demo.show(instance) or {})["datastore"]["version"] == "of a minor"


def test_a_dead_postmaster_is_started_again(stack: Stack, instance: str, psql: Psql) -> None:
    (server,) = stack.things_of(instance, "servers")
    (postmaster,) = (
        each
        for each in psutil.process_iter(["name", "cmdline"])
        if each.info["name"] == "postgres" and server["id"] in str(each.info["cmdline"])
    )
    postmaster.send_signal(signal.SIGKILL)
    eventually(psql.rows, WITHIN, "the rows are there after a kill")
    kinds = {
        each["kind"]
        for each in stack.demo.request("GET", f"/instances/{instance}/events").json()["events"]
    }
    assert "guest.crashed" in kinds
