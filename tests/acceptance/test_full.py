"""A volume that a customer fills by writing as fast as it can: refused before the engine is in
trouble, told, read on, and taken again when there is room.

The test plays the device: the volume's folder gets a small file system of its own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil
import pytest

from tests.acceptance.stack import Stack, eventually
from tests.guest_agent.datastores.volumes import needs_root, resize, small
from tests.guest_agent.datastores.writers import WRITERS, Writer, write_until_refused

pytestmark = [needs_root, pytest.mark.crash, pytest.mark.timeout(900)]

WITHIN: Final = 120
PASSWORD: Final = "password-of-alice"


class Datastore(NamedTuple):
    """One on offer, and its server's process."""

    name: str
    version: str
    process: str
    volume_mib: int


DATASTORES: Final = (
    Datastore("mariadb", "10.11", "mariadbd", 256),
    Datastore("postgresql", "15", "postgres", 160),
    Datastore("redis", "7.0", "redis-server", 96),
)


class Instance:
    """An instance on a small volume, and its customer."""

    def __init__(self, stack: Stack, datastore: Datastore) -> None:
        self.stack, self.datastore = stack, datastore
        wanted: dict[str, Any] = {"type": datastore.name, "version": datastore.version}
        contents: dict[str, Any] = {}
        if datastore.name != "redis":
            user = {"name": "alice", "password": PASSWORD, "databases": [{"name": "shop"}]}
            contents = {"databases": [{"name": "shop"}], "users": [user]}
        self.id = stack.demo.created(f"full-{datastore.name}", datastore=wanted, **contents)
        self.address = str(stack.demo.healthy(self.id)["addresses"][0]["address"])
        self.user, self.password = "alice", PASSWORD
        if datastore.name == "redis":
            answer = stack.demo.request("POST", f"/instances/{self.id}/root")
            assert answer.status_code == 200, answer.text
            root = answer.json()["user"]
            self.user, self.password = root["name"], root["password"]
        (volume,) = stack.things_of(self.id, "volumes")
        self.volume = Path(stack.settings.state, "cloud", "volumes", volume["id"])

    def writer(self) -> Writer:
        made = WRITERS[self.datastore.name](self.address, self.user, self.password, "shop")
        made.make()
        return made

    @contextmanager
    def on_a_small_volume(self) -> Iterator[None]:
        """While it is stopped its data are moved to a file system of their own."""
        self._ask({"stop": {}}, "STOPPED")
        aside = self.volume.with_suffix(".aside")
        subprocess.run(["cp", "-a", str(self.volume), str(aside)], check=True)
        with small(self.volume, self.datastore.volume_mib):
            subprocess.run(["cp", "-a", f"{aside}/.", str(self.volume)], check=True)
            subprocess.run(["rm", "-r", str(aside)], check=True)
            self._ask({"start": {}}, "ACTIVE")
            self.stack.demo.healthy(self.id)
            try:
                yield
            finally:
                self.stack.demo.delete(self.id)
                self.stack.demo.wait(self.id, "GONE")

    def larger(self) -> None:
        """The device has its new size before the operation ends, as Cinder's does."""
        resize(self.volume, self.datastore.volume_mib * 2)
        self._ask({"resize": {"volume": {"size": 2}}}, "ACTIVE")

    def _ask(self, action: dict[str, Any], then: str) -> None:
        answer = self.stack.demo.request("POST", f"/instances/{self.id}/action", action)
        assert answer.status_code == 202, answer.text
        self.stack.demo.wait(self.id, then)

    def process(self) -> psutil.Process:
        """Of its server, which is older than those it has started."""
        (server,) = self.stack.things_of(self.id, "servers")
        found = (
            each
            for each in psutil.process_iter(["name", "cmdline"])
            if each.info["name"] == self.datastore.process
            and server["id"] in str(each.info["cmdline"])
        )
        return min(found, key=lambda each: each.create_time())

    def operating(self, status: str) -> dict[str, Any]:
        """The instance, once that is its operating status."""

        def look() -> dict[str, Any] | None:
            shown = self.stack.demo.show(self.id)
            return shown if shown and shown["operating_status"] == status else None

        return eventually(look, WITHIN, f"{self.id} is {status}")

    def events(self, kind: str) -> list[str]:
        """What was told of that kind."""
        told = self.stack.demo.request("GET", f"/instances/{self.id}/events").json()["events"]
        return [each["message"] for each in told if each["kind"] == kind]


@pytest.mark.parametrize("datastore", DATASTORES, ids=lambda each: each.name)
def test_a_customer_who_fills_a_volume_is_refused_and_writes_again_after_a_resize(
    stack: Stack, datastore: Datastore
) -> None:
    instance = Instance(stack, datastore)
    with instance.on_a_small_volume():
        server, writer = instance.process(), instance.writer()
        filled = write_until_refused(writer, lambda said: writer.SAYS in said)
        assert filled.rows > 0
        instance.operating("BLOCKED")
        eventually(lambda: instance.events("guest.blocked"), WITHIN, "it is told")
        assert "the volume is full" in instance.events("guest.blocked")[0]
        assert writer.rows() == filled.rows
        assert server.is_running(), "it has taken no harm"
        instance.larger()
        instance.operating("HEALTHY")
        writer.close()
        writer.write()
        assert writer.rows() == filled.rows + 1
    stack.assert_owns_nothing(stack.demo, instance.id)
