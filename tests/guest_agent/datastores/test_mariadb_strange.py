"""What runs as the database's user may do as it likes: the agent goes on looking, and says so."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from guest_agent.datastores import processes
from guest_agent.datastores.mariadb import sql
from guest_agent.datastores.mariadb.layout import SOCKET, Layout
from guest_agent.datastores.mariadb.probe import Answer, Probe
from guest_agent.datastores.mariadb.service import Service
from guest_agent.datastores.os_user import OsUser

USER = OsUser("mysql", os.geteuid(), os.getegid(), switch=False)


@pytest.mark.parametrize("number", [signal.SIGKILL, 40])
def test_a_death_by_any_signal_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A real-time signal ends a process too, and has no name."""
    server = tmp_path / "mariadbd"
    server.write_text(f"#!/bin/sh\nkill -{int(number)} $$\n")
    server.chmod(0o755)
    monkeypatch.setattr(processes, "program", lambda name: str(server))
    layout = Layout(tmp_path, tmp_path / "volume")
    layout.data.mkdir(parents=True)
    service = Service(layout, USER)
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
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / SOCKET))
        other.listen()

        def speak() -> None:
            taken, _ = other.accept()
            with taken:
                taken.sendall(greeting)

        speaker = threading.Thread(target=speak)
        speaker.start()
        probe = Probe(lambda seconds: sql.connect(tmp_path, "root", USER.uid, seconds=seconds))
        assert probe.ask() is Answer.SILENT
        speaker.join()
