"""A backup that Trove has made of a real MariaDB, and what a guest begins with."""

from __future__ import annotations

import gzip
import hashlib
import re
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pymysql
import pytest

from chalicelib import aws
from chalicelib.bus.contract.arguments import ImportedObject, StoredBackup
from guest_agent import birth, datastores
from guest_agent.backups import imported
from guest_agent.backups.grant import LentObject, ObjectGrant
from guest_agent.backups.imported import ImportedStore
from guest_agent.clock import ServiceClock
from guest_agent.datastores.mariadb import adoption, superuser
from guest_agent.datastores.mariadb.server import MariaDBServer
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.datastores.os_user import agent_account
from guest_agent.datastores.streams import MAGIC
from guest_agent.enrolment import Reply
from guest_agent.errors import CommandFailed, GuestError
from guest_agent.storage.room import OnVolume, Room
from tests.guest_agent.datastores.conftest import config
from tests.guest_agent.datastores.customer import guest_on, server_of
from tests.guest_agent.datastores.test_backups import MARIADB, Restored, restore_args
from tests.guest_agent.fakes import Crash
from tests.guest_agent.server import Server
from tests.support import trove
from tests.support.trove import ADMIN_PASSWORD, PASSWORD, ROWS

pytestmark = pytest.mark.database
BACKUP: Final = str(uuid.UUID(int=7))
PART: Final = 64 * 1024


class Swift:
    """An object by the URL that is lent for it."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.lent = 0

    @property
    def etag(self) -> str:
        return hashlib.md5(self.body, usedforsecurity=False).hexdigest()

    def backup(self, **known: Any) -> StoredBackup:
        """As it was when it was imported, unless the test knows better."""
        told = {"size": len(self.body), "etag": self.etag, **known}
        return StoredBackup(BACKUP, f"t/{BACKUP}", "ab" * 32, imported=ImportedObject(**told))

    def open(self, _: str, stop: aws.Event) -> ImportedStore:
        return ImportedStore(self._lend, ServiceClock(), stop, self._send, self._lend())

    def _lend(self) -> ObjectGrant:
        self.lent += 1
        lent = LentObject("https://swift/object", int(aws.clock() + 420))
        return ObjectGrant(writes=False, keys={}, object=lent)

    def _send(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        assert (method, url) == ("GET", "https://swift/object")
        if headers["If-Match"].strip('"') != self.etag:
            return Reply(412, b"")
        first, last = map(int, headers["Range"].removeprefix("bytes=").split("-"))
        return Reply(206, self.body[first : last + 1])


@pytest.fixture(scope="module")
def streams() -> Iterator[tuple[bytes, bytes]]:
    """The full backup, and an increment of it."""
    with trove.mariadb() as folder:
        full = trove.stream(folder)
        noted = re.search(rb"to_lsn = (\d+)", full)
        assert noted is not None
        yield full, trove.stream(folder, f"--incremental-lsn={int(noted[1])}")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imported, "PART_BYTES", PART)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with server_of(MARIADB) as made:
        monkeypatch.setenv("COFFER_SERVER_ID", made.id)
        yield made


def restore(server: Server, swift: Swift, **known: Any) -> None:
    manager = datastores.manager(birth.load(server.root))
    manager.open_store = swift.open
    for method in ("fetch_backup", "apply_backup"):
        manager.call(method, restore_args(MARIADB, [swift.backup(**known)]), lambda _: None)


def asked(server: Server, user: str, password: str, statement: str) -> Any:
    with (
        pymysql.connect(host=server.address, user=user, password=password) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
        return cursor.fetchall()


def test_what_trove_has_backed_up_is_the_data_and_its_accounts_are_not(
    server: Server, streams: tuple[bytes, bytes]
) -> None:
    restore(server, Swift(trove.zipped(streams[0])))
    with guest_on(MARIADB, server, Restored) as guest:
        held = "SELECT COUNT(*), MAX(n) FROM shop.numbers"
        assert asked(server, "carol", PASSWORD, held) == ((ROWS, ROWS),), "and no event has run"
        for name in ("os_admin", "root"):
            with pytest.raises(pymysql.OperationalError, match="Access denied"):
                asked(server, name, ADMIN_PASSWORD, "SELECT 1")
        assert not guest.manager.call("is_root_enabled", {}, lambda _: None)["enabled"]
        users = guest.manager.call("list_users", {}, lambda _: None)["users"]
        assert {each["name"] for each in users} == {"alice", "carol", "mighty", "slave_a1b2"}
        granted = asked(server, "mighty", PASSWORD, "SHOW GRANTS")
        assert "GRANT SELECT ON *.* TO" in granted[0][0]
        assert not {"FILE", "SUPER"} & set(granted[0][0].replace(",", " ").split())
        granted = asked(server, "slave_a1b2", ADMIN_PASSWORD, "SHOW GRANTS")
        assert "GRANT USAGE ON *.* TO" in granted[0][0]


def test_a_stream_that_nobody_has_zipped_is_taken_too(
    server: Server, streams: tuple[bytes, bytes]
) -> None:
    swift = Swift(streams[0])
    restore(server, swift, etag=swift.etag, large=True)
    assert (server.volume / "data/shop/numbers.ibd").exists()
    assert not (server.volume / "restored").exists()


WRONG: Final[dict[str, tuple[Callable[[bytes, bytes], bytes], str]]] = {
    "an increment": (lambda full, more: more, "an increment of another one"),
    "cut off": (lambda full, more: full[: len(full) // 2], "in the middle of a file"),
    "something else": (lambda full, more: b"no stream at all" * 100, "no part of a file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_whole_backup_makes_no_data(
    case: str, server: Server, streams: tuple[bytes, bytes]
) -> None:
    make, why = WRONG[case]
    with pytest.raises(CommandFailed, match=why):
        restore(server, Swift(trove.zipped(make(*streams))))
    assert not (server.volume / "data").exists()


def test_what_was_changed_since_is_told(server: Server, streams: tuple[bytes, bytes]) -> None:
    swift = Swift(trove.zipped(streams[0]))
    with pytest.raises(CommandFailed, match="somebody has changed it"):
        restore(server, swift, etag="0" * 32)
    assert not (server.volume / "data").exists()
    broken = Swift(swift.body[:-4] + bytes(4))  # a length that its gzip does not have
    with pytest.raises(CommandFailed, match="its compression is broken"):
        restore(server, broken)
    with pytest.raises(CommandFailed, match="its compression is broken"):
        restore(server, Swift(swift.body[:-1000]))


def test_a_bomb_is_given_up_when_the_volume_has_no_room_for_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of chunks of 64 MiB of zeros, of which a thousandth is stored."""
    monkeypatch.setattr(imported, "PART_BYTES", 16 * 1024**2)
    room = Room(free=40 * 1024**2, held=0, reserve=0, low=8 * 1024**2)
    monkeypatch.setattr(OnVolume, "look", lambda _: room)
    size = 64 * 1024**2
    name = b"shop/numbers.ibd"
    chunk = b"XBSTCK01\x00P" + len(name).to_bytes(4, "little") + name
    chunk += size.to_bytes(8, "little") + bytes(8) + bytes(4) + bytes(size)
    body = gzip.compress(chunk, 1)
    assert len(body) < 1024**2
    with pytest.raises(CommandFailed, match=r"more data than the volume has room for \(32 MiB\)"):
        restore(server, Swift(body))
    assert not (server.volume / "data").exists()


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("8.0.36", "no MariaDB's: it is of version 8.0.36"),
        ("10.6.18-MariaDB", "which MariaDB .* does not go on with"),
        ("11.4.2-MariaDB", "which MariaDB .* does not go on with"),
        ("10.11.99-MariaDB", "which MariaDB .* does not go on with"),
        (None, "no MariaDB's"),
    ],
)
def test_a_backup_of_another_engine_is_refused(
    written: str | None, why: str, tmp_path: Path
) -> None:
    if written is not None:
        (tmp_path / "xtrabackup_info").write_text(f"tool = x\nserver_version = {written}\n")
    (tmp_path / "xtrabackup_checkpoints").write_text("backup_type = full-backuped\n")
    with pytest.raises(GuestError, match=why):
        adoption.require_own(tmp_path)


PLANTED: Final = b"18\n"
MIGHTY: Final = {
    "routine": "PROCEDURE shop.mine() GRANT FILE ON *.* TO carol@'%'",
    "view": "VIEW shop.mine AS SELECT * FROM mysql.global_priv",
    "trigger": "TRIGGER shop.mine BEFORE INSERT ON shop.numbers FOR EACH ROW SET @x = 1",
    "event": "EVENT shop.mine ON SCHEDULE EVERY 1 DAY DO SET GLOBAL max_connections = 1",
}
GONE: Final = {
    "routine": "DROP PROCEDURE shop.mine",
    "view": "DROP VIEW shop.mine",
    "trigger": "DROP TRIGGER shop.mine",
    "event": "DELETE FROM mysql.event",  # with events disabled
}


def test_what_would_run_with_the_agents_rights_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent's account has the same name everywhere, so theirs may have defined things by it."""
    owner = f"'{agent_account()}'@'localhost'"
    with trove.mariadb() as folder:
        trove.asked(folder, *(f"CREATE DEFINER={owner} {each}" for each in MIGHTY.values()))
        swift = Swift(trove.zipped(trove.stream(folder)))
    with pytest.raises(GuestError, match="the routine 'mine' of the database 'shop'"):
        restore(server, swift)
    assert not (server.volume / "data").exists()

    adopt = superuser.adopt

    def adopt_one_after_the_other(session: Session) -> None:
        for kind in MIGHTY:
            with pytest.raises(GuestError, match=f"the {kind} 'mine' of the database 'shop'"):
                adopt(session)
            session.run(GONE[kind])
            if kind == "trigger":  # what is left is the event, whose definer is told bit by bit
                session.run("UPDATE mysql.event SET definer = REPLACE(definer, 'local', 'LOCAL')")
        adopt(session)

    monkeypatch.setattr(superuser, "adopt", adopt_one_after_the_other)
    restore(server, swift)
    assert (server.volume / "data/shop/numbers.ibd").exists()


def test_nobody_goes_on_as_a_replica_of_whom_the_data_name(
    server: Server, streams: tuple[bytes, bytes]
) -> None:
    planted = ("master.info", "master-a.info", "multi-master.info", "relay-log.info")
    stream = streams[0] + b"".join(of_file(name, PLANTED) for name in planted)
    restore(server, Swift(trove.zipped(stream)))
    data = server.volume / "data"
    assert (data / "shop/numbers.ibd").exists()
    found = [each.read_bytes() for name in planted if (each := data / name).exists()]
    assert PLANTED not in found  # a server makes an empty one of its own


def of_file(name: str, content: bytes) -> bytes:
    """A file as mbstream has it: a part with its sum, and an end."""
    named = len(name).to_bytes(4, "little") + name.encode()
    sizes = len(content).to_bytes(8, "little") + bytes(8)
    part = sizes + zlib.crc32(content).to_bytes(4, "little") + content
    return MAGIC + b"\0P" + named + part + MAGIC + b"\0E" + named


def test_one_that_dies_while_it_puts_the_accounts_right_begins_anew(
    server: Server, streams: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    swift = Swift(trove.zipped(streams[0]))

    def dies(session: Session) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(superuser, "adopt", dies)
        with pytest.raises(Crash):
            restore(server, swift)
    assert not (server.volume / "data").exists()
    restore(server, swift)
    assert (server.volume / "data/shop/numbers.ibd").exists()


def test_a_server_that_ends_before_its_accounts_are_right_makes_no_data(
    server: Server, streams: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it ends well, as when somebody has asked it to."""
    monkeypatch.setattr(adoption, "connected", lambda *_: None)
    monkeypatch.setattr(adoption, "_command", lambda *_: ["/bin/true"])
    with pytest.raises(CommandFailed, match="before the accounts of the backup were put right"):
        restore(server, Swift(trove.zipped(streams[0])))
    assert not (server.volume / "data").exists()


def test_what_their_views_do_with_files_stays_in_a_folder_of_its_own(tmp_path: Path) -> None:
    """`mysql.user` is a view, which the agent reads with all rights: theirs may be another one."""
    server = MariaDBServer(config(tmp_path), "/volume")
    told = adoption._command(server, tmp_path)
    assert f"--secure-file-priv={server.layout.scratch}" in told
