"""Backups of the real engines below a customer who writes all the time, and what they restore."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import pytest

from chalicelib import aws
from chalicelib.bus.contract.answers import BackedUp
from chalicelib.bus.contract.arguments import StoredBackup
from guest_agent import birth, datastores
from guest_agent.backups.s3 import S3Store
from guest_agent.backups.store import Store
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Reply
from guest_agent.errors import CommandFailed
from guest_agent.manager import Manager
from tests.guest_agent.backups.objects import ONE, OTHER, SLOW, Lender, Objects
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.customer import (
    ENGINES,
    PASSWORD,
    Engine,
    Guest,
    guest_on,
    server_of,
)
from tests.guest_agent.datastores.numbered import held, numbering
from tests.guest_agent.server import Server, prepare_args

pytestmark = pytest.mark.database
TENANT: Final = "tenant"
MARIADB: Final = ENGINES[0]
POSTGRESQL, REDIS = ENGINES[1:]
CHAINS: Final = ((MARIADB, 3), (POSTGRESQL, 3), (REDIS, 1))
"""How long a chain is made on each engine."""


class Backups:
    """Those of one guest, in a store in memory."""

    def __init__(self) -> None:
        self.objects = Objects()
        self.lender = Lender(self.objects)
        self.made: list[StoredBackup] = []

    def connect(self, manager: Manager) -> None:
        manager.open_store = lambda _, stop: self.lender.store(stop)

    def create(self, guest: Guest, parent: StoredBackup | None = None, **more: Any) -> StoredBackup:
        """Have a backup made; `parent` is the one that it is an increment of."""
        self.connect(guest.manager)
        backup_id = str(uuid.uuid4())
        self.lender.backups += (backup_id,)
        location = f"{TENANT}/chain/{backup_id}"
        args = {"id": backup_id, "location": location, **more}
        if parent is not None:
            args["parent"] = msgspec.to_builtins(parent)
        said = guest.manager.call("create_backup", args, lambda _: None)
        told = msgspec.convert(said, BackedUp)
        self.made.append(StoredBackup(backup_id, location, told.checksum, told.position))
        return self.made[-1]

    def restore(self, engine: Engine, server: Server, chain: list[StoredBackup]) -> None:
        """As the flow of a create does it: fetched, applied, and started."""
        manager = datastores.manager(birth.load(server.root))
        self.connect(manager)
        for method in ("fetch_backup", "apply_backup"):
            manager.call(method, restore_args(engine, chain), lambda _: None)


def restore_args(engine: Engine, chain: list[StoredBackup]) -> dict[str, Any]:
    order = {"manager": engine.manager, "version": engine.version}
    full = prepare_args(datastore=order)
    kept = {name: full[name] for name in ("datastore", "flavor", "mount_point", "volume_id")}
    return {**kept, "chain": msgspec.to_builtins(chain)}


class Stalled:
    """A store that answers nothing but that it is busy, once somebody has `reached` it."""

    def __init__(self, backups: Backups) -> None:
        self._backups, self.reached = backups, threading.Event()

    def open(self, _: str, stop: aws.Event) -> Store:
        lender = self._backups.lender
        return S3Store(lender.ask, ServiceClock(), stop, self._send)

    def _send(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        self.reached.set()
        return SLOW


class Asked:
    """A command that a thread of its own waits for, as an agent's does."""

    def __init__(self, manager: Manager, method: str, args: dict[str, Any]) -> None:
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(manager, method, args))
        self._thread.start()

    def _run(self, manager: Manager, method: str, args: dict[str, Any]) -> None:
        try:
            manager.call(method, args, lambda _: None)
        except CommandFailed as error:
            self._error = error

    def error(self) -> Exception | None:
        """Why it failed, when it has ended."""
        self._thread.join()
        return self._error


class Restored(Guest):
    """Of a server whose data directory is there already: there is nothing to make in it."""

    def begin(self) -> None:
        return None


@contextmanager
def restored(
    backups: Backups, engine: Engine, chain: list[StoredBackup], patch: pytest.MonkeyPatch
) -> Iterator[Restored]:
    """A server of its own that was made of them."""
    with server_of(engine) as server:
        patch.setenv("COFFER_SERVER_ID", server.id)
        backups.restore(engine, server, chain)
        with guest_on(engine, server, Restored) as guest:
            yield guest


@contextmanager
def guest_of(engine: Engine, patch: pytest.MonkeyPatch) -> Iterator[Guest]:
    with server_of(engine) as server:
        patch.setenv("COFFER_SERVER_ID", server.id)
        with guest_on(engine, server, Guest) as guest:
            yield guest


@pytest.mark.parametrize(("engine", "length"), CHAINS, ids=[each.manager for each, _ in CHAINS])
def test_a_restore_of_each_of_a_chain_holds_exactly_the_rows_up_to_it(
    engine: Engine, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups, bounds = Backups(), list[tuple[int, int]]()
    with guest_of(engine, monkeypatch) as guest:
        guest.manager.call("enable_root", {"root_password": PASSWORD}, lambda _: None)
        with numbering(guest) as rows:
            parent = None
            for _ in range(length):
                before = rows.committed
                parent = backups.create(guest, parent)
                bounds.append((before, rows.committed + 1))
                rows.more(20)
        assert held(guest) >= rows.committed
    for increment in backups.made[1:]:  # how large it is the writer decides
        with (
            pytest.raises(CommandFailed),
            restored(backups, engine, [increment], monkeypatch),
        ):
            pytest.fail("it is a full backup")
    for number, (least, most) in enumerate(bounds, 1):
        with restored(backups, engine, backups.made[:number], monkeypatch) as guest:
            assert least <= held(guest) <= most
            assert guest.manager.call("is_root_enabled", {}, lambda _: None)["enabled"]


def test_one_that_is_cancelled_ends_soon_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether it waits for the tool or for the store; no account, no tool, no manifest stays."""
    backups = Backups()
    with guest_of(MARIADB, monkeypatch) as guest:
        store = Stalled(backups)
        guest.manager.open_store = store.open
        asked = Asked(guest.manager, "create_backup", {"id": ONE, "location": f"t/{ONE}"})
        wait_for(store.reached.is_set)
        for backup_id in (OTHER, ONE):
            guest.manager.call("cancel_backup", {"id": backup_id}, lambda _: None)
        assert "cancelled" in str(asked.error())
        assert not [line for line in guest.server.processes().values() if "backup" in line]
        accounts = guest.manager.call("list_users", {}, lambda _: None)["users"]
        assert [each["name"] for each in accounts] == ["alice"]
        assert not backups.objects.held
        assert backups.create(guest).checksum
