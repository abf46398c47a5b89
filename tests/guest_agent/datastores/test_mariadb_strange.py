"""What runs as the database's user may do as it likes: the agent goes on looking, and says so."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from guest_agent.datastores import probe as probe_module
from guest_agent.datastores import processes
from guest_agent.datastores.mariadb import sql, superuser
from guest_agent.datastores.mariadb.layout import SOCKET
from guest_agent.datastores.mariadb.server import MariaDBServer
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.datastores.os_user import OsUser
from guest_agent.datastores.probe import Answer, Probe
from guest_agent.datastores.service import Service
from guest_agent.errors import GuestError, Unavailable
from tests.guest_agent.datastores.conftest import config

USER_NAME = b"the-agent"
Speak = Callable[[socket.socket], None]
USER = OsUser("mysql", os.geteuid(), os.getegid(), switch=False)


@pytest.mark.parametrize("number", [signal.SIGKILL, 40])
def test_a_death_by_any_signal_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A real-time signal ends a process too, and has no name."""
    program = tmp_path / "mariadbd"
    program.write_text(f"#!/bin/sh\nkill -{int(number)} $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(processes, "program", lambda name: str(program))
    monkeypatch.setattr(MariaDBServer, "user", USER)
    server = MariaDBServer(config(tmp_path), "/volume")
    server.layout.data.mkdir(parents=True)
    service = Service(server)
    service.start()
    assert processes.wait_until(lambda: not service.alive(), 60.0)
    said = "SIGKILL" if number == signal.SIGKILL else "signal 40"
    assert service.death() == f"the database was ended by {said}"


@pytest.mark.parametrize(
    "greeting",
    [
        b"\x01\x00\x00\x00\x0a",
        b"\x03\x00\x00\x00\x0ax\x00",
        b"\x06\x00\x00\x00\x0a\xff\xfe\xfd\x00\x01",
        b"\x00\x00\x00\x00",
        b"no greeting at all, and no zero in it",
    ],
)
def test_a_server_that_does_not_speak_the_protocol_is_no_bug_of_the_agent(
    tmp_path: Path, greeting: bytes
) -> None:
    """Whoever holds the socket says what it likes; the pulse asks it each second."""
    with listening(tmp_path, lambda taken: taken.sendall(greeting)):
        assert probe_of(tmp_path).ask() is Answer.SILENT


def probe_of(data: Path) -> Probe[Session]:
    return Probe(lambda until: connect(data, until), lambda session: superuser.secure(session))


def connect(data: Path, until: float) -> Session:
    return sql.connect(data, USER_NAME.decode(), USER.uid, until)


@contextmanager
def listening(data: Path, speak: Speak) -> Iterator[None]:
    """Somebody at the socket of a data directory who takes one connection after the other."""
    connections: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                taken, _ = other.accept()
            except OSError:  # it is closed at the end
                return
            connections.append(taken)
            with taken, suppress(OSError):
                speak(taken)

    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(data / SOCKET))
        other.listen()
        server = threading.Thread(target=serve)
        server.start()
        try:
            yield
        finally:
            other.shutdown(socket.SHUT_RDWR)
            for each in connections:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            server.join()


def packet(number: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "little") + bytes([number]) + content


GREETING = packet(
    0,
    b"\x0a11.4.0-MariaDB\x00"
    + bytes(4)
    + b"saltsalt\x00"
    # Protocol 4.1, secure connections and plugins; utf8mb4; nothing more.
    + b"\x00\x82\x2d\x02\x00\x08\x00\x15"
    + bytes(10)
    + b"saltsaltsalt\x00unix_socket\x00",
)
OK = b"\x00\x00\x00\x02\x00\x00\x00"


def from_then_on(moment: bytes, rest: Callable[[], Iterable[bytes]]) -> Speak:
    """A server like any other until it is asked for that; then it sends the rest."""

    def speak(taken: socket.socket) -> None:
        answers = itertools.chain([GREETING, packet(2, OK)], itertools.repeat(packet(1, OK)))
        asked = b"hello"
        while asked and moment not in asked:
            taken.sendall(next(answers))
            asked = taken.recv(65536)
        for piece in rest():
            taken.sendall(piece)
            if len(piece) == 1:
                time.sleep(0.02)

    return speak


def dribbled() -> Iterable[bytes]:
    return itertools.repeat(b"\x40")


ONE_COLUMN = (
    packet(1, b"\x01")
    + packet(2, b"\x03def\x00\x00\x00\x01x\x00\x0c\x2d\x00\xff\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
    + packet(3, b"\xfe\x00\x00\x02\x00")
)


@pytest.mark.parametrize("moment", [b"hello", USER_NAME, b"lock_wait_timeout", b"SELECT 1"])
def test_a_server_that_dribbles_holds_the_pulse_no_longer_than_a_probe(
    tmp_path: Path, moment: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its greeting, to a login, to a setting, to a question: there is always one more byte."""
    monkeypatch.setattr(probe_module, "PROBE_SECONDS", 0.5)
    with listening(tmp_path, from_then_on(moment, dribbled)):
        assert probe_of(tmp_path).ask() is Answer.SILENT


def test_what_a_look_has_found_is_kept_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A customer's root makes as much of it as it likes, and nobody asks while a volume is full."""
    monkeypatch.setattr(superuser, "secure", lambda session: ["put right"] * 100)
    monkeypatch.setattr(probe_module, "GUARD_SECONDS", 0.0)
    with listening(tmp_path, from_then_on(b"nothing of that", dribbled)):
        probe = probe_of(tmp_path)
        for _ in range(3):
            assert probe.ask() is Answer.YES
        assert probe.said() == ["put right"] * probe_module.SAID_KEPT
        assert probe.said() == []


def test_a_look_that_fails_is_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A customer may lock the tables of the accounts; the database answers its clients still."""

    def locked(_: Session) -> list[str]:
        raise Unavailable("other sessions hold locks")

    monkeypatch.setattr(superuser, "secure", locked)
    with listening(tmp_path, from_then_on(b"nothing of that", dribbled)):
        probe = probe_of(tmp_path)
        assert probe.ask() is Answer.YES
        assert probe.ask() is Answer.YES


def rows() -> Iterator[bytes]:
    """A result set that is always a row longer."""
    yield ONE_COLUMN
    row = b"".join(
        packet(number % 256, b"\xfd" + (60_000).to_bytes(3, "little") + bytes(60_000))
        for number in range(4, 260)
    )
    yield from itertools.repeat(row)


def one_row() -> Iterator[bytes]:
    """A row of which there is always another packet."""
    yield ONE_COLUMN
    for number in itertools.count(4):
        yield packet(number % 256, bytes(2**24 - 1))


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(rows, id="rows"),
        pytest.param(one_row, id="one row"),
    ],
)
def test_an_answer_without_an_end_is_not_kept(
    tmp_path: Path, rest: Callable[[], Iterator[bytes]]
) -> None:
    with (
        listening(tmp_path, from_then_on(b"SELECT 1", rest)),
        closing(connect(tmp_path, time.monotonic() + 60)) as session,
        pytest.raises(GuestError, match="answers more than was asked for"),
    ):
        session.rows("SELECT 1")


def test_a_session_has_one_bound_for_all_that_it_asks(tmp_path: Path) -> None:
    """However many statements a call needs, each of them in time."""
    with (
        listening(tmp_path, from_then_on(b"nothing of that", dribbled)),
        closing(connect(tmp_path, time.monotonic() + 60)) as session,
    ):
        session.run("SET @a = 1")
        session.until = time.monotonic()
        with pytest.raises(Unavailable):
            session.run("SET @a = 1")
