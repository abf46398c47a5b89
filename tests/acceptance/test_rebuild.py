"""A rebuild and an expulsion on a running stack: rows survive, and the old guest is nobody."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pymysql
import pytest

from tests.acceptance.stack import Stack, eventually
from tests.acceptance.test_clients import run

PASSWORD = "password-of-alice"
WITHIN = 240


class Shop:
    """An instance with rows, written by an application of its tenant."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        users = [{"name": "alice", "password": PASSWORD, "databases": [{"name": "shop"}]}]
        self.id = stack.demo.created("shop", databases=[{"name": "shop"}], users=users)
        shown = stack.demo.healthy(self.id)
        self.address = shown["addresses"][0]["address"]
        self.ask("CREATE TABLE orders (id INT PRIMARY KEY)")
        self.ask("INSERT INTO orders VALUES (1), (2), (3)")

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """What the application gets."""
        connection = pymysql.connect(
            host=self.address, user="alice", password=PASSWORD, database="shop", autocommit=True
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def rows(self) -> list[tuple[Any, ...]] | None:
        """All rows; None while the database is down, which its agent starts again."""
        try:
            return self.ask("SELECT id FROM orders ORDER BY id")
        except pymysql.err.OperationalError:
            return None

    @property
    def server_id(self) -> str:
        (server,) = self.stack.things_of(self.id, "servers")
        return str(server["id"])

    @property
    def image_id(self) -> str:
        return str(run(self.stack, "image", "list", user="admin")[0]["ID"])

    def rebuild(self) -> None:
        """As an operator does it, with the unmodified client."""
        words = ("database", "instance", "rebuild", self.id, self.image_id)
        run(self.stack, *words, user="admin")

    def generation(self) -> int:
        answer = self.stack.admin.request("GET", f"/mgmt/instances/{self.id}")
        return int(answer.json()["instance"]["guest_status"]["generation"])

    def database(self) -> psutil.Process | None:
        """The process of its database."""
        for each in psutil.process_iter(["name", "cmdline"]):
            if each.info["name"] == "mariadbd" and self.server_id in str(each.info["cmdline"]):
                return each
        return None

    def step(self, name: str) -> bool:
        """Whether the newest operation has begun that step."""
        steps = self.stack.demo.operations(self.id)[0]["steps"]
        return any(each["name"] == name and each.get("started") for each in steps)

    def serves(self, generation: int) -> None:
        """It is ACTIVE with that guest, and has every row."""
        self.stack.demo.healthy(self.id, within=WITHIN)
        assert self.generation() == generation
        found = eventually(self.rows, WITHIN, "the database takes the application back")
        assert found == [(1,), (2,), (3,)]
        queues = self.stack.aws("sqs").list_queues(QueueNamePrefix=f"coffer-guest-{self.id}")
        (url,) = queues["QueueUrls"]
        assert url.endswith(f"-{generation}")


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    made = Shop(stack)
    yield made
    stack.demo.delete(made.id)
    stack.demo.wait(made.id, "GONE")
    stack.assert_owns_nothing(stack.demo, made.id)


def test_a_rebuild_keeps_the_rows_and_replaces_the_guest(shop: Shop) -> None:
    before = shop.generation()
    shop.rebuild()
    shop.serves(before + 1)
    users = shop.stack.demo.request("GET", f"/instances/{shop.id}/users").json()["users"]
    assert [each["name"] for each in users] == ["alice"]


@pytest.mark.parametrize(
    "death",
    [
        "rebuild_instance.new_generation@TransactWriteItems",
        "rebuild_instance.server@servers.rebuild",
        "rebuild_instance.prepare@SendMessage",
    ],
)
def test_a_function_that_dies_after_its_effect_costs_nothing_but_time(
    shop: Shop, death: str
) -> None:
    before = shop.generation()
    planned = shop.stack.crash_plan / death
    planned.touch()
    shop.rebuild()
    shop.serves(before + 1)
    assert not planned.exists()


def test_an_agent_and_a_database_that_die_while_the_guest_comes_up(shop: Shop) -> None:
    before = shop.generation()
    shop.rebuild()
    eventually(lambda: shop.step("prepare"), WITHIN, "the new guest is asked")
    shop.stack.cloud("POST", f"/servers/{shop.server_id}/kill_agent")
    if (database := shop.database()) is not None:
        database.send_signal(signal.SIGKILL)
    shop.serves(before + 1)


def test_an_expelled_guest_is_told_and_a_rebuild_brings_the_rows_back(shop: Shop) -> None:
    before = shop.generation()
    said = shop.stack.coffer("expel", shop.id)
    assert f"openstack database instance rebuild {shop.id}" in said
    shown = shop.stack.demo.show(shop.id) or {}
    assert shown["status"] == "ERROR"
    assert "expelled" in shown["fault"]["message"]
    started = shop.stack.demo.request("POST", f"/instances/{shop.id}/action", {"start": {}})
    assert started.status_code == 422
    shop.rebuild()
    shop.serves(before + 2)
