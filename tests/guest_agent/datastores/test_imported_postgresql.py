"""A backup that Trove has made of a real PostgreSQL, and what a guest begins with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import pg8000.native
import pytest

from guest_agent import birth, datastores
from tests.guest_agent.datastores.customer import guest_on, server_of
from tests.guest_agent.datastores.test_backups import POSTGRESQL, Restored, restore_args
from tests.guest_agent.datastores.test_imported import Swift, small_parts  # noqa: F401
from tests.guest_agent.server import Server
from tests.support import trove_postgresql as trove
from tests.support.trove_postgresql import ADMIN_PASSWORD, PASSWORD, ROWS

pytestmark = pytest.mark.database


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with server_of(POSTGRESQL) as made:
        monkeypatch.setenv("COFFER_SERVER_ID", made.id)
        yield made


def restore(server: Server, content: bytes) -> list[str]:
    """As the flow of a create does it; what it has told on the way."""
    swift, told = Swift(content), list[str]()
    manager = datastores.manager(birth.load(server.root))
    manager.open_store = swift.open
    for method in ("fetch_backup", "apply_backup"):
        manager.call(method, restore_args(POSTGRESQL, [swift.backup()]), told.append)
    return told


def asked(
    server: Server, user: str, *statements: str, password: str = PASSWORD, database: str = "shop"
) -> Any:
    """The rows of the last statement of a customer."""
    made = pg8000.native.Connection(
        user, host=server.address, password=password, database=database, ssl_context=False
    )
    with closing(made) as connection:
        return [connection.run(each) for each in statements][-1]


def test_what_trove_has_backed_up_is_the_data_and_its_accounts_are_not(server: Server) -> None:
    with trove.postgresql() as theirs:
        content = theirs.tar()
    told = restore(server, content)
    assert "loading database 1 of 1" in told
    assert not (server.volume / "restored").exists()
    with guest_on(POSTGRESQL, server, Restored) as guest:
        held = "SELECT COUNT(*), MAX(n) FROM numbers"
        assert asked(server, "carol", held) == [[ROWS, ROWS]]
        assert asked(server, "olga", "SELECT 1") == [[1]], "whose password is kept as of old"
        for name in ("postgres", "os_admin", "root", "replicator"):
            with pytest.raises(pg8000.native.DatabaseError):
                asked(server, name, "SELECT 1", password=ADMIN_PASSWORD)
        assert not guest.manager.call("is_root_enabled", {}, lambda _: None)["enabled"]
        users = guest.manager.call("list_users", {}, lambda _: None)["users"]
        assert {each["name"]: [d["name"] for d in each["databases"]] for each in users} == {
            "alice": ["shop"],
            "carol": ["shop"],
            "olga": [],
        }
