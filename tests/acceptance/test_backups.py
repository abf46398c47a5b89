"""Backups by unmodified clients on a running stack: made below a writer, restored, deleted."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

import pg8000.dbapi
import pymysql
import pytest

from infra import backups_bucket
from infra.local.settings import STACK_NAME
from tests.acceptance.stack import Stack, eventually
from tests.acceptance.test_clients import run

WITHIN: Final = 240
USER, PASSWORD = "ann", "pw-of-ann"
DEATHS: Final = (
    *("create_backup.copy@SendMessage", "storage@AssumeRole", "conductor@SendTaskSuccess"),
    *("create_backup.check@ListObjectsV2", "create_backup.complete@TransactWriteItems"),
)
DEATHS_OF_A_DELETE: Final = ("delete_backup.remove@DeleteObjects",)


def sum_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def connect(address: str) -> Any:
    return pymysql.connect(
        host=address, user=USER, password=PASSWORD, database="shop", autocommit=True
    )


def connect_to_postgresql(address: str) -> Any:
    made = pg8000.dbapi.connect(host=address, user=USER, password=PASSWORD, database="shop")
    made.autocommit = True
    return made


Connect = Callable[[str], Any]
"""To a database at an address, as its customer."""


class Writer(threading.Thread):
    """A customer who commits numbered rows, one by one, without an end."""

    def __init__(self, address: str, connect: Connect = connect) -> None:
        super().__init__(daemon=True)
        self.address, self.committed, self.over = address, 0, threading.Event()
        self._connect = connect

    def run(self) -> None:
        with (
            closing(self._connect(self.address)) as connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute("CREATE TABLE rows_ (n INT PRIMARY KEY, s CHAR(64))")
            while not self.over.is_set():
                number = self.committed + 1
                cursor.execute("INSERT INTO rows_ VALUES (%s, %s)", (number, sum_of(number)))
                self.committed = number


def rows_of(address: str, connect: Connect = connect) -> int:
    """How many rows there are: they are the first ones, each as it was written."""
    with closing(connect(address)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT n, s FROM rows_ ORDER BY n")
        found = [tuple(each) for each in cursor.fetchall()]
    assert found == [(number, sum_of(number)) for number in range(1, len(found) + 1)]
    return len(found)


def address_of(stack: Stack, instance_id: str) -> str:
    return str(stack.demo.healthy(instance_id)["addresses"][0]["address"])


@pytest.fixture(scope="module")
def source(stack: Stack) -> Iterator[str]:
    run(
        stack, "database", "instance", "create", "source", "--flavor", "1", "--size", "1",
        "--datastore", "mariadb", "--datastore-version", "10.11",
        "--databases", "shop", "--users", f"{USER}:{PASSWORD}",
    )  # fmt: skip
    listed = run(stack, "database", "instance", "list")
    (instance_id,) = (each["ID"] for each in listed if each["Name"] == "source")
    yield str(instance_id)
    run(stack, "database", "instance", "delete", instance_id)
    stack.demo.wait(instance_id, "GONE")
    stack.assert_owns_nothing(stack.demo, instance_id)


@pytest.fixture(scope="module")
def writer(stack: Stack, source: str) -> Iterator[Writer]:
    made = Writer(address_of(stack, source))
    made.start()
    yield made
    made.over.set()
    made.join(30)


def shown(stack: Stack, backup: str) -> dict[str, Any]:
    answer = stack.demo.request("GET", f"/backups/{backup}")
    found: dict[str, Any] = answer.json().get("backup", {"status": "GONE"})
    return found


def ended(stack: Stack, backup: str) -> dict[str, Any]:
    """The backup once it is no longer being made."""

    def look() -> dict[str, Any] | None:
        found = shown(stack, backup)
        return found if found["status"] not in ("NEW", "BUILDING") else None

    return eventually(look, WITHIN, f"an end of backup {backup}")


def back_up(stack: Stack, instance_id: str, name: str, *more: str) -> str:
    """The id of a backup that was asked for by the client."""
    stack.demo.wait(instance_id, "ACTIVE")
    run(stack, "database", "backup", "create", name, "--instance", instance_id, *more)
    listed = run(stack, "database", "backup", "list", "instance", instance_id)
    (found,) = (each["ID"] for each in listed if each["Name"] == name)
    return str(found)


def is_gone(stack: Stack, backup: str) -> None:
    """It is, in a while."""
    eventually(lambda: shown(stack, backup)["status"] == "GONE", WITHIN, f"{backup} gone")


def goes_on(writer: Writer) -> None:
    """There are more rows, in a while."""
    wanted = writer.committed + 50
    eventually(lambda: writer.committed >= wanted, WITHIN, "more rows")


def objects(stack: Stack) -> list[str]:
    bucket = backups_bucket.name_of(stack.settings.target, STACK_NAME)
    found = stack.aws("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return [each["Key"] for each in found]


@pytest.fixture(scope="module")
def chain(stack: Stack, source: str, writer: Writer) -> dict[str, tuple[int, int]]:
    """A full backup and two increments: how many rows were there when each began, and ended."""
    made = {}
    for name, more in (("full", ()), ("first", ("--incremental",)), ("second", ("--incremental",))):
        goes_on(writer)
        least = writer.committed
        backup = back_up(stack, source, name, *more)
        done = ended(stack, backup)
        assert done["status"] == "COMPLETED", done["fault"]
        made[backup] = (least, writer.committed + 1)
    return made


def test_each_of_a_chain_is_restored_exactly(
    stack: Stack, chain: dict[str, tuple[int, int]]
) -> None:
    parents = [shown(stack, backup)["parent_id"] for backup in chain]
    assert parents == [None, *list(chain)[:2]]
    copies = {}
    for number, backup in enumerate(chain):
        run(
            stack, "database", "instance", "create", f"copy-{number}", "--flavor", "1",
            "--size", "1", "--datastore", "mariadb", "--datastore-version", "10.11",
            "--backup", backup,
        )  # fmt: skip
    for each in run(stack, "database", "instance", "list"):
        if each["Name"].startswith("copy-"):
            copies[each["ID"]] = list(chain)[int(each["Name"][-1])]
    assert len(copies) == len(chain)
    for instance_id, backup in copies.items():
        least, most = chain[backup]
        assert least <= rows_of(address_of(stack, instance_id)) <= most
    for instance_id in copies:
        assert stack.demo.delete(instance_id).status_code == 202
    for instance_id in copies:
        stack.demo.wait(instance_id, "GONE")
        stack.assert_owns_nothing(stack.demo, instance_id)


def test_a_chain_goes_from_its_end_or_whole_and_leaves_nothing(
    stack: Stack, chain: dict[str, tuple[int, int]]
) -> None:
    full, _, last = chain
    assert stack.demo.request("DELETE", f"/backups/{full}").status_code == 409
    run(stack, "database", "backup", "delete", last)
    is_gone(stack, last)
    assert stack.demo.request("DELETE", f"/backups/{full}?cascade=true").status_code == 202
    for backup in chain:
        is_gone(stack, backup)
    assert not [key for key in objects(stack) if full in key]


def made_by(stack: Stack, instance_id: str, name: str, **more: Any) -> str:
    """The id of a backup that is complete, asked for by the API."""
    body = {"backup": {"name": name, "instance": instance_id, **more}}
    answer = stack.demo.request("POST", "/backups", body)
    assert answer.status_code == 202, answer.text
    backup = str(answer.json()["backup"]["id"])
    done = ended(stack, backup)
    assert done["status"] == "COMPLETED", done["fault"]
    return backup


def psql(address: str, statement: str) -> str:
    done = subprocess.run(
        ["psql", "-XqAt", "-h", address, "-U", USER, "-c", statement, "shop"],
        env={"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def redis(address: str, password: str, *words: str) -> str:
    done = subprocess.run(
        ["redis-cli", "-h", address, *words],
        env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": password},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip()


def test_the_other_engines_begin_with_theirs_too(stack: Stack) -> None:
    """PostgreSQL with an increment, Redis with all it has, root's password too."""
    api = stack.demo
    user = {"name": USER, "password": PASSWORD, "databases": [{"name": "shop"}]}
    contents = {"databases": [{"name": "shop"}], "users": [user]}
    of: dict[str, dict[str, Any]] = {
        "postgresql": {"datastore": {"type": "postgresql", "version": "15"}, **contents},
        "redis": {"datastore": {"type": "redis", "version": "7.0"}},
    }
    made = {name: api.created(name, **fields) for name, fields in of.items()}
    address = address_of(stack, made["postgresql"])
    psql(address, "CREATE TABLE kept AS SELECT g AS n FROM generate_series(1, 1000) g")
    made_by(stack, made["postgresql"], "full")
    psql(address, "INSERT INTO kept SELECT g FROM generate_series(1001, 1500) g")
    rows = made_by(stack, made["postgresql"], "increment", incremental=1)
    psql(address, "DELETE FROM kept")
    cache = address_of(stack, made["redis"])
    root = api.request("POST", f"/instances/{made['redis']}/root").json()["user"]["password"]
    assert redis(cache, root, "SET", "kept", "1") == "OK"
    keys = made_by(stack, made["redis"], "full")
    assert redis(cache, root, "DEL", "kept") == "1"
    body = {"backup": {"name": "none", "instance": made["redis"], "incremental": 1}}
    assert api.request("POST", "/backups", body).status_code == 501
    again = {
        name: api.created(f"{name}-again", datastore=of[name]["datastore"], restorePoint=point)
        for name, point in (
            ("postgresql", {"backupRef": rows}),
            ("redis", {"backupRef": keys}),
        )
    }
    counted = psql(address_of(stack, again["postgresql"]), "SELECT count(*), max(n) FROM kept")
    assert counted == "1500|1500"
    assert redis(address_of(stack, again["redis"]), root, "GET", "kept") == "1"
    for instance_id in (*made.values(), *again.values()):
        assert api.delete(instance_id).status_code == 202
    for instance_id in (*made.values(), *again.values()):
        api.wait(instance_id, "GONE")
    for backup in api.request("GET", "/backups").json()["backups"]:
        if backup["parent_id"] is None:
            path = f"/backups/{backup['id']}?cascade=true"
            assert api.request("DELETE", path).status_code == 202
            is_gone(stack, backup["id"])


@pytest.mark.crash
def test_it_is_made_once_whoever_dies(stack: Stack, source: str, writer: Writer) -> None:
    for death in DEATHS:
        (stack.crash_plan / death).touch()
    least = writer.committed
    backup = back_up(stack, source, "deaths")
    assert ended(stack, backup)["status"] == "COMPLETED", shown(stack, backup)
    assert [each for each in DEATHS if (stack.crash_plan / each).exists()] == []
    most = writer.committed + 1
    copy = stack.demo.created("copy", restorePoint={"backupRef": backup})
    assert least <= rows_of(address_of(stack, copy)) <= most
    for death in DEATHS_OF_A_DELETE:
        (stack.crash_plan / death).touch()
    run(stack, "database", "backup", "delete", backup)
    is_gone(stack, backup)
    assert not [key for key in objects(stack) if backup in key]
    assert stack.demo.delete(copy).status_code == 202
    stack.demo.wait(copy, "GONE")
