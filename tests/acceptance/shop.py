"""An instance with rows in it, which an application of its tenant has written and reads again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pymysql
from keystoneauth1 import session
from keystoneauth1.identity import v3
from troveclient.v1 import client

from tests.acceptance.stack import Stack, eventually
from tests.acceptance.test_clients import run

PASSWORD = "password-of-alice"
WITHIN = 240


class Shop:
    """An instance with rows, written by an application of its tenant."""

    def __init__(self, stack: Stack, **fields: Any) -> None:
        self.stack = stack
        users = [{"name": "alice", "password": PASSWORD, "databases": [{"name": "shop"}]}]
        databases = [{"name": "shop"}]
        self.id = stack.demo.created("shop", databases=databases, users=users, **fields)
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

    def migrate(self, host: str | None = None) -> None:
        """As an operator does it, with the client's library: its commands have no word for it."""
        who = self.stack.admin.user
        auth = v3.Password(
            auth_url=who.auth_url,
            username=who.name,
            password=who.password,
            project_name=who.name,
            user_domain_name="Default",
            project_domain_name="Default",
        )
        trove = client.Client(session=session.Session(auth=auth), region_name="RegionOne")
        trove.mgmt_instances.migrate(self.id, host=host)

    def kill(self) -> None:
        """The agent and its database, -9, each if it runs at the moment."""
        self.stack.cloud("POST", f"/servers/{self.server_id}/kill_agent")
        if (database := self.database()) is not None:
            database.send_signal(signal.SIGKILL)

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


@contextmanager
def shop_on(stack: Stack, **fields: Any) -> Iterator[Shop]:
    """One for the tests of a module; it leaves nothing."""
    made = Shop(stack, **fields)
    yield made
    stack.demo.delete(made.id)
    stack.demo.wait(made.id, "GONE")
    stack.assert_owns_nothing(stack.demo, made.id)
