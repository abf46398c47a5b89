"""Connections that really end in the middle of a part, to the store and back; virtual time."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec
import pytest

from chalicelib import aws
from chalicelib.bus.contract.arguments import StoredBackup
from guest_agent.backups import writer
from guest_agent.backups.calls import HttpSend
from guest_agent.backups.reader import Reader
from guest_agent.backups.s3 import S3Store
from guest_agent.backups.writer import Writer
from guest_agent.clock import ServiceClock
from tests.guest_agent.backups.objects import ONE, Instant, Lender, Objects
from tests.guest_agent.backups.test_writing import CHUNKS, SMALL_PART

LOCATION: Final = f"tenant/chain/{ONE}"


class Cutting(BaseHTTPRequestHandler):
    """Serves files, and ends each second connection when half of a body has passed."""

    files: dict[str, bytes]
    counted: list[str]
    cut: list[str]
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        size = int(self.headers["Content-Length"])
        if self._is_cut():
            self.rfile.read(size // 2)
            self._reset()
            return
        self.files[self.path] = self.rfile.read(size)
        self._head(0)

    def do_GET(self) -> None:
        body = self.files[self.path]
        self._head(len(body))
        if self._is_cut():
            self.wfile.write(body[: len(body) // 2])
            self._reset()
            return
        self.wfile.write(body)

    def _is_cut(self) -> bool:
        self.counted.append(self.command)
        if len(self.counted) % 2 == 0:
            return False
        self.cut.append(self.command)
        return True

    def _reset(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _head(self, size: int) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    facts: dict[str, Any] = {"files": {}, "counted": [], "cut": []}
    handler = type("Handler", (Cutting,), facts)
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.daemon_threads = True
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def instant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Instant]:
    monkeypatch.setattr(writer, "PART_BYTES", SMALL_PART)
    made = Instant()
    previous = aws.install(made)
    yield made
    aws.install(previous)


def test_a_part_whose_connection_ends_in_its_middle_is_sent_and_fetched_again(
    server: ThreadingHTTPServer,
) -> None:
    host, port = server.server_address[:2]
    lent = msgspec.structs.replace(Lender(Objects()).ask(), endpoint=f"http://{host!s}:{port}")
    store = S3Store(lambda: lent, ServiceClock(), aws.event(), HttpSend())
    made = Writer(store, ONE, LOCATION, lambda _: None)
    made.write(CHUNKS)
    told = made.finish(engine_version="1")
    handler: Any = server.RequestHandlerClass
    assert handler.cut == ["PUT"] * 4, "three parts and the manifest"
    backup = StoredBackup(ONE, LOCATION, told.checksum)
    read = b"".join(Reader(store, backup, lambda _: None).chunks())
    assert read == b"".join(CHUNKS)
    assert handler.cut[4:] == ["GET"] * 4
    assert len(handler.files) == 4, "nothing is there but what was sent whole"
