"""What is Redis's own: its one user, what that may do and what not, and that no password is ever a
rule of the file that they are kept in.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from chalicelib.engines.parameter import Kind
from chalicelib.service_status import ServiceStatus as Status
from guest_agent import birth
from guest_agent.datastores.redis.manager import RedisManager
from guest_agent.datastores.redis.server import RedisServer
from guest_agent.errors import CommandFailed, GuestError
from guest_agent.manager import Condition
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.conftest import config
from tests.guest_agent.datastores.managed import Managed, one
from tests.guest_agent.server import prepare_args

pytestmark = [pytest.mark.database, pytest.mark.xdist_group("redis")]

ENGINE: Final = {"manager": "redis", "version": "7.0"}
OWN_NUMBER: Final = 23_458
ROOT: Final = "r"
EMPTY: Final[dict[str, Any]] = {"databases": [], "users": []}


class Database(Managed):
    """A Redis whose root has the password `r`."""

    MANAGER = RedisManager
    USER = ("redis", OWN_NUMBER)
    ASKED: ClassVar = {"datastore": ENGINE, "root_password": ROOT, **EMPTY}

    def cli(self, *words: str, password: str | None = ROOT, user: str = "default") -> str:
        """What redis-cli of a tenant says."""
        login = {"REDISCLI_AUTH": password} if password is not None else {}
        done = subprocess.run(
            ["redis-cli", "-h", self.server.address, "--user", user, *words],
            env={"PATH": os.environ["PATH"], **login},
            capture_output=True,
            timeout=60,
            check=False,
        )
        return (done.stderr + done.stdout).decode(errors="replace").strip()

    def die(self) -> None:
        pid = self.server.database()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.wait_until_crashed()


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with one(Database) as made:
        yield made


REFUSED: Final = (
    "CONFIG GET maxmemory",
    "CONFIG SET dir /tmp",
    "CONFIG REWRITE",
    "DEBUG SLEEP 9",
    "MODULE LIST",
    "MODULE LOAD /x.so",
    "REPLICAOF 127.0.0.1 1",
    "SLAVEOF NO ONE",
    "SHUTDOWN NOSAVE",
    "ACL LIST",
    "ACL SAVE",
    "ACL SETUSER x on nopass",
    "SAVE",
    "BGSAVE",
    "BGREWRITEAOF",
    "CLUSTER INFO",
    "MONITOR",
    "SYNC",
    "PSYNC ? -1",
    "MIGRATE 127.0.0.1 1 k 0 9",
    "FAILOVER",
    "CLIENT KILL TYPE normal",
    "CLIENT LIST",
    "SLOWLOG GET",
    "LATENCY LATEST",
    "EVAL return(redis.call('CONFIG','GET','*')) 0",
)


def test_the_tenant_has_all_of_its_data_and_nothing_of_the_server(database: Database) -> None:
    for words, answer in (
        (("SET", "k", "v"), "OK"),
        (("KEYS", "*"), "k"),
        (("EVAL", "return redis.call('GET', 'k')", "0"), "v"),
        (("-n", "15", "DBSIZE"), "0"),
        (("ACL", "WHOAMI"), "default"),
        (("FLUSHALL",), "OK"),
    ):
        assert database.cli(*words) == answer
    assert "redis_version:7" in database.cli("INFO", "server")
    for refused in REFUSED:
        said = database.cli(*refused.split())
        assert any(each in said for each in ("NOPERM", "not allowed", "can't run this")), refused
    for nobody in ({"password": None}, {"password": "x"}, {"user": "os_admin", "password": ROOT}):
        assert "NOAUTH" in database.cli("PING", **nobody)


def test_who_is_put_out_is_out_at_once_and_after_a_restart(database: Database) -> None:
    with logged_in(database) as open_session:
        database.call("disable_root")
        assert open_session.recv(1) == b""
    assert "NOAUTH" in database.cli("PING")
    database.die()
    database.manager.start_again()
    assert database.call("is_root_enabled") == {"enabled": False}
    assert "NOAUTH" in database.cli("PING")
    database.call("enable_root", root_password=ROOT)
    database.call("restart")
    assert database.cli("PING") == "PONG"


def test_who_had_a_former_password_is_out_when_root_is_enabled_again(database: Database) -> None:
    with logged_in(database) as session:
        database.call("enable_root", root_password="another")
        assert session.recv(1) == b""
    database.call("enable_root", root_password=ROOT)


def test_a_tenant_that_takes_all_connections_shuts_the_agent_out_of_nothing(
    database: Database,
) -> None:
    """Also those that hurry to a server that starts: it is closed until the agent is in it."""
    database.call("start_db_with_conf_changes", flavor={"ram": 64, "vcpus": 1})
    taken: list[socket.socket] = []
    try:
        wait_for(lambda: crowd(database, taken))
        assert database.manager.condition() == Condition(Status.HEALTHY)
        assert database.call("is_root_enabled") == {"enabled": True}
        few = len(taken)
        database.manager._life._probe.forget()  # as after the agent's own end
        wait_for(lambda: crowd(database, taken) and len(taken) > few)
        told = database.manager.condition()
        assert (told.status, told.reason) == (
            Status.BLOCKED,
            "its customers have taken all of its connections",
        )
        with pytest.raises(CommandFailed) as refused:
            database.call("is_root_enabled")
        assert refused.value.code == "Unavailable"
        database.call("restart")
        assert database.manager.condition() == Condition(Status.HEALTHY)
    finally:
        for each in taken:
            each.close()
        database.call("start_db_with_conf_changes", flavor={"ram": 512, "vcpus": 1})


def logged_in(database: Database) -> socket.socket:
    """A tenant's session by the network."""
    made = socket.create_connection((database.server.address, 6379), timeout=30)
    made.sendall(b"AUTH default r\r\n")
    assert made.recv(5) == b"+OK\r\n"
    return made


def crowd(database: Database, taken: list[socket.socket]) -> bool:
    """Add sessions of a tenant until there are no more."""
    while True:
        made = socket.create_connection((database.server.address, 6379), timeout=30)
        made.sendall(b"AUTH default r\r\n")
        if not made.recv(5).startswith(b"+OK"):
            made.close()
            return True
        taken.append(made)


def test_what_was_written_outlives_a_death_and_what_is_strange_in_the_acl_file_does_not(
    database: Database,
) -> None:
    assert database.cli("SET", "kept", "1") == "OK"
    wait_for(lambda: "aof_pending_bio_fsync:0" in database.cli("INFO", "persistence"))
    database.die()
    accounts = database.server.volume / "data/users.acl"
    with accounts.open("a") as stream:
        stream.write("user eve on nopass ~* &* +@all\n")
    assert database.manager.start_again() == "The database was started again."
    assert database.cli("GET", "kept") == "1"
    assert "NOAUTH" in database.cli("PING", user="eve", password="x")
    assert "eve" not in accounts.read_text()


def test_an_account_that_nobody_made_is_gone_at_the_next_look(database: Database) -> None:
    server = RedisServer(birth.load(database.server.root), "/var/lib/mysql")
    session = server.connect(2.0**40)
    try:
        session.ask("ACL", "SETUSER", "eve", "on", "nopass", "~*", "+@all")
        session.ask("ACL", "SETUSER", "default", "on", "nopass")
        assert server.secure(session) == [
            "the account 'eve' was nobody's, and is gone",
            "the account 'default' had no password, and is closed",
        ]
        assert server.secure(session) == []
    finally:
        session.close()
    assert "NOAUTH" in database.cli("PING", password=None)
    database.call("enable_root", root_password=ROOT)


def test_a_cut_off_log_is_gone_on_with_and_a_damaged_one_is_told(database: Database) -> None:
    assert database.cli("SET", "before", "1") == "OK"
    database.call("restart")
    database.die()
    folder = database.server.volume / "data/appendonlydir"
    log = max(folder.glob("*.incr.aof"), key=lambda each: each.name)
    whole = log.read_bytes()
    log.write_bytes(whole + b"*3\r\n$3\r\nSET\r\n$3\r\ncu")
    assert database.manager.start_again() == "The database was started again."
    assert database.cli("GET", "before") == "1"
    database.die()
    log.write_bytes(b"no command\r\n" + whole)
    with pytest.raises(GuestError, match=r"exit code 1 \(Bad file format"):
        database.manager.start_again()
    told = database.manager.condition()
    assert told.status is Status.CRASHED
    assert "Bad file format" in told.reason
    log.write_bytes(whole)
    database.manager.start_again()
    assert database.cli("GET", "before") == "1"


def test_another_servers_agent_goes_on_with_the_volume(database: Database) -> None:
    """Its state has no password of the administrator, and the volume has the hash of another."""
    assert database.cli("SET", "moved", "1") == "OK"
    database.call("stop_db", do_not_start_on_reboot=True)
    next(database.server.root.rglob("redis-administrator")).unlink()
    args = prepare_args(datastore=ENGINE)
    asked = {name: args[name] for name in ("datastore", "flavor", "volume_id", "mount_point")}
    assert database.call("rebuild", **asked, number="7.0") == {
        "status": "healthy",
        "holds_configuration": True,
    }
    assert database.cli("GET", "moved") == "1"
    assert database.call("is_root_enabled") == {"enabled": True}


def test_its_own_files_are_its_users_whoever_made_them(database: Database) -> None:
    if os.geteuid() == 0:
        owners = {path.lstat().st_uid for path in database.server.volume.rglob("*")}
        assert owners == {OWN_NUMBER}


def test_outside_of_its_volume_it_has_folders_of_its_own(database: Database) -> None:
    """The package's, as /etc/redis, are no business of the agent's."""
    server = database.server
    outside = {
        str(each.relative_to(server.root))
        for each in server.root.rglob("*redis*/**/*")
        if each.is_file() and not each.is_relative_to(server.volume)
    }
    layers = {f"etc/coffer-redis/coffer.d/{each}.conf" for each in ("10-flavor", "50-group")}
    assert outside == {"etc/coffer-redis/coffer.conf", *layers, "var/log/redis/coffer.log"}
    assert (server.volume / "data" / "users.acl").is_file()


def test_neither_databases_nor_users_are_made(database: Database) -> None:
    with pytest.raises(CommandFailed) as refused:
        database.call("list_users")
    assert refused.value.code == "NotSupported"


def test_data_of_another_version_are_left_alone(tmp_path: Path) -> None:
    server = RedisServer(config(tmp_path, "redis"), "/volume")
    server.require_version("7.0")
    with pytest.raises(GuestError, match=r"was to be of 7\.4"):
        server.require_version("7.4")


def test_it_takes_what_the_rules_say_that_it_takes(database: Database) -> None:
    """It tells no types and no bounds itself."""
    server = RedisServer(birth.load(database.server.root), "/var/lib/mysql")
    with closing(server.connect(2.0**40)) as session:
        for name, rule in server.known.items():
            values = [*rule.allowed, *(each for each in (rule.min, rule.max) if each is not None)]
            if rule.kind is Kind.BOOLEAN:
                values = ["yes", "no"]
            if not rule.restart_required and name != "maxclients":  # the system says how many
                for value in values:
                    assert session.ask("CONFIG", "SET", name, str(value)) == b"OK", (name, value)
    database.call("update_overrides", values={})
    assert database.cli("GET", "moved") == "1"
