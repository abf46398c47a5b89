"""Backups and restores as an operator pipes them: the engine's tool, zstd, and a store's objects of
the same size, one after another. What the agent's are measured beside."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from chalicelib.engines.postgresql import ADMINISTRATOR
from guest_agent.datastores.mariadb.layout import SOCKET
from guest_agent.datastores.os_user import agent_account
from guest_agent.datastores.postgresql.manager import PostgreSQLManager
from guest_agent.datastores.postgresql.server import PostgreSQLServer
from guest_agent.datastores.redis import counters
from guest_agent.datastores.redis.copies import DUMP
from guest_agent.datastores.redis.manager import RedisManager
from tests.guest_agent.control_plane import WAIT_SECONDS, wait_for
from tests.guest_agent.datastores.customer import Engine, Guest
from tests.support.loopback import HOST

PART_BYTES: Final = 16 * 1024**2
PACK: Final = ["zstd", "-3", "--single-thread", "-c"]
UNPACK: Final = ["zstd", "-d", "-c"]


def back_up(guest: Guest, port: int) -> None:
    """To the objects `/bare/0`, `/bare/1` and so on."""
    connection = http.client.HTTPConnection(HOST, port)
    for number, part in enumerate(_piped(_copying(guest), PACK)):
        connection.request("PUT", f"/bare/{number}", part)
        connection.getresponse().read()
    connection.request("PUT", "/bare/parts", b"%d" % (number + 1))
    connection.getresponse().read()
    connection.close()


def restore(engine: Engine, port: int, folder: Path) -> None:
    """Into a folder, durably: files as before the tool makes them the data."""
    connection = http.client.HTTPConnection(HOST, port)

    def get(name: str) -> bytes:
        connection.request("GET", f"/bare/{name}")
        return connection.getresponse().read()

    with ExitStack() as stack:
        unpacked = stack.enter_context(_process(UNPACK, stdin=subprocess.PIPE))
        command = _unpacking(engine, folder)
        last = stack.enter_context(_process(command, stdin=unpacked.stdout, stdout=None))
        assert unpacked.stdin is not None
        for number in range(int(get("parts"))):
            unpacked.stdin.write(get(str(number)))
        unpacked.stdin.close()
        assert (unpacked.wait(), last.wait()) == (0, 0)
    subprocess.run(["sync", "-f", str(folder)], check=True)
    connection.close()


def _piped(*commands: list[str]) -> Iterator[bytes]:
    """What the last of them writes, in parts."""
    with ExitStack() as stack:
        processes, before = list[subprocess.Popen[bytes]](), None
        for command in commands:
            processes.append(stack.enter_context(_process(command, stdin=before)))
            before = processes[-1].stdout
        read: Callable[[int], bytes] = before.read if before is not None else lambda _: b""
        while part := read(PART_BYTES):
            yield part
        assert [each.wait() for each in processes] == [0] * len(processes)


def _process(command: list[str], **options: object) -> subprocess.Popen[bytes]:
    chosen = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, **options}
    return subprocess.Popen(command, **chosen)  # type: ignore[call-overload,no-any-return]


def _copying(guest: Guest) -> list[str]:
    data, notes = guest.server.volume / "data", guest.server.root / "notes"
    match guest.engine.manager:
        case "mariadb":
            return [
                *("mariadb-backup", "--no-defaults", "--backup", "--stream=mbstream"),
                *(f"--datadir={data}", f"--socket={data / SOCKET}", f"--target-dir={notes}"),
                f"--user={agent_account()}",
            ]
        case "postgresql":
            assert isinstance(guest.manager, PostgreSQLManager)
            server = guest.manager._life.server
            assert isinstance(server, PostgreSQLServer)
            return [
                *(server.program("pg_basebackup"), f"--host={data}"),
                *(f"--username={ADMINISTRATOR}", "--no-password", "--pgdata=-", "--format=tar"),
                *("--wal-method=fetch", "--checkpoint=fast", "--no-manifest"),
            ]
        case _:
            _save(guest)
            return ["cat", str(data / DUMP)]


def _save(guest: Guest) -> None:
    assert isinstance(guest.manager, RedisManager)
    with guest.manager._session(WAIT_SECONDS) as session:
        saves = counters.info(session, "persistence")["rdb_saves"]
        session.ask("BGSAVE", "SCHEDULE")

        def saved() -> bool:
            told = counters.info(session, "persistence")
            return told["rdb_saves"] != saves and told["rdb_bgsave_in_progress"] == "0"

        wait_for(saved)


def _unpacking(engine: Engine, folder: Path) -> list[str]:
    match engine.manager:
        case "mariadb":
            return ["mbstream", "--extract", f"--directory={folder}"]
        case "postgresql":
            return ["tar", "--extract", "--file=-", f"--directory={folder}"]
        case _:
            return ["dd", f"of={folder / 'dump.rdb'}", "bs=1M", "iflag=fullblock", "status=none"]
